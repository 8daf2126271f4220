"""3x3 convolutions in fewer multiplications, on a CPU; elsewhere XLA's own.

On a CPU the products inside convolutions take most of a training step, at the rate the
processor can do (benchmarks/README.md). Winograd's F(2x2, 3x3) (Lavin and Gray, "Fast
Algorithms for Convolutional Neural Networks", CVPR 2016) makes 2 x 2 outputs from a
4 x 4 tile with 16 products of channels in place of 36. Its sums and differences of
inputs and outputs weigh the less the more channels there are. Their factors are 1 and
1/2, so that float32 loses no accuracy that matters.
"""

import functools

import jax
import jax.numpy as jnp

MIN_CHANNELS = 128  # of input and output: measured
_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def conv_general_dilated(x, kernel, strides, padding, **options) -> jax.Array:
    """As `jax.lax.conv_general_dilated`; for `flax.linen.Conv`."""
    whole = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        **options,
    )
    suits = (
        kernel.shape[:2] == (3, 3)
        and min(kernel.shape[2:]) >= MIN_CHANNELS
        and kernel.dtype == jnp.float32
        and tuple(strides) == (1, 1)
        and tuple(padding) == ((1, 1), (1, 1))
    )
    if not suits:
        return whole(x, kernel)
    return jax.lax.platform_dependent(x, kernel, cpu=winograd, default=whole)


@jax.custom_vjp
def winograd(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves [B, h, w, c] with [3, 3, c, d], zeros around, to [B, h, w, d]."""
    b, h, w, c = x.shape
    rows, columns = -(-h // 2), -(-w // 2)  # tiles; each begins two after the last
    x = jnp.pad(x, ((0, 0), (1, 1 + h % 2), (1, 1 + w % 2), (0, 0)))
    tiles = [
        [x[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] for j in range(4)]
        for i in range(4)
    ]
    inputs = _both_axes(lambda a, b, c, d: (a - c, b + c, c - b, b - d), tiles)
    kernels = _both_axes(
        lambda a, b, c: (a, (a + b + c) / 2, (a - b + c) / 2, c), list(kernel)
    )
    products = jnp.einsum(
        "tnc,tcd->tnd",
        jnp.stack([tile for row in inputs for tile in row]).reshape(16, -1, c),
        jnp.stack([part for row in kernels for part in row]),
    ).reshape(4, 4, b, rows, columns, -1)
    outputs = _both_axes(lambda a, b, c, d: (a + b + c, b - c - d), products)
    # [2][2][B, rows, columns, d] to [B, rows, 2, columns, 2, d].
    outputs = jnp.stack([jnp.stack(pair, 3) for pair in outputs], 2)
    return outputs.reshape(b, 2 * rows, 2 * columns, -1)[:, :h, :w]


def _both_axes(transform, grid) -> list[list[jax.Array]]:
    """Applies a linear map to the columns and then to the rows of a grid."""
    down = [transform(*column) for column in zip(*grid, strict=True)]
    return [list(transform(*row)) for row in zip(*down, strict=True)]


def _forward(x, kernel):
    return winograd(x, kernel), (x, kernel)


def _backward(operands, gradient):
    x, kernel = operands
    # The input's gradient is a convolution with the kernel turned by 180 degrees. That
    # of the kernel is XLA's own: this way it was measured to be no faster.
    turned = kernel[::-1, ::-1].swapaxes(2, 3)

    def direct(kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=_DIMENSIONS
        )

    return winograd(gradient, turned), jax.linear_transpose(direct, kernel)(gradient)[0]


winograd.defvjp(_forward, _backward)
