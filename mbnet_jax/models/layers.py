"""Small functions that several modules share."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

_he_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def known(kind: str, name: str, table) -> Any:
    """Returns `table[name]`.

    Raises:
      ValueError: if there is no such entry; it names those that there are.
    """
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(table)}")
    return table[name]


def conv(
    channels: int, kernel: int, stride: int = 1, *, padding: int, dtype, name: str
) -> nn.Conv:
    """A convolution without bias and with symmetric padding, NHWC."""
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
    the batch is sharded. They are computed and kept in float32.
    """
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        use_bias=use_bias,
        dtype=dtype,
        name=name,
    )


def l2_normalize(x: jax.Array) -> jax.Array:
    """Scales the last axis to length 1; a zero vector stays zero."""
    return x * jax.lax.rsqrt(jnp.maximum((x * x).sum(-1, keepdims=True), 1e-12))


def max_over(x: jax.Array, axis: int) -> jax.Array:
    """The maximum over an axis; the gradient goes to the first of equals.

    The gradient of `jnp.max` divides by the number of entries equal to the maximum.
    Where XLA computes x anew for it, with another rounding, that number can be 0
    and the gradient nan (met on a CPU at a low optimisation level). A position,
    chosen once, has no such case.
    """
    position = jax.nn.one_hot(x.argmax(axis), x.shape[axis], axis=axis, dtype=bool)
    return jnp.where(position, x, 0).sum(axis)


def max_over_positions(x: jax.Array) -> jax.Array:
    """The maximum of a map [B, h, w, c] over its positions, [B, c]."""
    return max_over(x.reshape(x.shape[0], -1, x.shape[-1]), axis=1)
