"""Small functions that several modules share."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

_he_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def known(kind: str, name: str, table) -> Any:
    """Returns `table[name]`.

    Raises:
      ValueError: listing the known names, if `name` is none of them.
    """
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(table)}")
    return table[name]


class Pointwise(nn.Module):
    """A 1x1 convolution without bias: on a CPU a matrix product, elsewhere XLA's own.

    XLA's CPU backend computes a convolution's kernel gradient from transposed copies
    of both operands. A product needs none, and is faster in each direction
    (benchmarks/README.md).

    Attributes:
      channels: of the output.
      stride: each way.
      dtype: of the computation; the parameter `kernel` [1, 1, c, channels] is float32.
    """

    channels: int
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, h, w, c] to [B, ceil(h / stride), ceil(w / stride), channels]."""
        shape = (1, 1, x.shape[-1], self.channels)
        kernel = self.param("kernel", _he_init, shape, jnp.float32)
        strides = (self.stride, self.stride)

        def product(x, kernel):
            x = x[:, :: self.stride, :: self.stride]
            rows = x.reshape(-1, x.shape[-1]) @ kernel[0, 0]
            return rows.reshape(*x.shape[:-1], -1)

        def convolution(x, kernel):
            return jax.lax.conv_general_dilated(
                x, kernel, strides, "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        x, kernel = jnp.asarray(x, self.dtype), jnp.asarray(kernel, self.dtype)
        return jax.lax.platform_dependent(x, kernel, cpu=product, default=convolution)


def conv(
    channels: int, kernel: int, stride: int = 1, *, padding: int, dtype, name: str
) -> nn.Module:
    """A convolution without bias and with symmetric padding, NHWC."""
    if kernel == 1:
        return Pointwise(channels, stride, dtype=dtype, name=name)
    return nn.Conv(
        channels,
        (kernel, kernel),
        strides=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        use_bias=False,
        kernel_init=_he_init,
        dtype=dtype,
        name=name,
    )


def batch_norm(train: bool, *, dtype, name: str, use_bias: bool = True) -> nn.BatchNorm:
    """Batch normalisation with torchvision's constants.

    Statistics are over the global batch: under jit they need no axis name, however
    the batch is sharded. They are computed and stored in float32.
    """
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        use_bias=use_bias,
        dtype=dtype,
        name=name,
    )


def max_pool(x: jax.Array) -> jax.Array:
    """3x3 maximum pooling with stride 2 and padding 1 of a map [B, h, w, c].

    On a CPU it takes maxima of shifted maps: XLA's CPU backend computes the gradient of
    a reduce-window with one thread, which takes four times as long. There equal entries
    share the gradient; on other devices the first takes it.
    """

    def shifted(x):
        _, h, w, _ = x.shape
        edge = ((0, 0), (1, 1), (1, 1), (0, 0))
        x = jnp.pad(x, edge, constant_values=-jnp.inf)
        x = functools.reduce(jnp.maximum, [x[:, i : i + h : 2] for i in range(3)])
        return functools.reduce(jnp.maximum, [x[:, :, i : i + w : 2] for i in range(3)])

    def window(x):
        return nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))

    return jax.lax.platform_dependent(x, cpu=shifted, default=window)


def l2_normalize(x: jax.Array) -> jax.Array:
    """Scales the last axis to length 1; a zero vector stays zero."""
    return x * jax.lax.rsqrt(jnp.maximum((x * x).sum(-1, keepdims=True), 1e-12))


def max_over(x: jax.Array, axis: int) -> jax.Array:
    """The maximum over an axis; the gradient goes to the first of equals.

    The gradient of `jnp.max` divides by the number of entries equal to the maximum.
    If XLA recomputes x for it, with another rounding, that number can be 0 and the
    gradient nan (seen on a CPU at a low optimisation level). A position that is chosen
    once avoids this.
    """
    position = jax.nn.one_hot(x.argmax(axis), x.shape[axis], axis=axis, dtype=bool)
    return jnp.where(position, x, 0).sum(axis)


def max_over_positions(x: jax.Array) -> jax.Array:
    """The maximum of a map [B, h, w, c] over its positions, [B, c]."""
    return max_over(x.reshape(x.shape[0], -1, x.shape[-1]), axis=1)
