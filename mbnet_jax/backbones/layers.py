"""Layers and functions that backbones and modules share. Maps are [B, h, w, c]."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax.refusals import instead

_MOMENTUM, _EPSILON = 0.9, 1e-5  # of batch norm, as torchvision has them
_he_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def known(kind: str, name: str, table) -> Any:
    """Returns `table[name]`.

    Raises:
      ValueError: if `name` is unknown, with known names.
    """
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}; {instead(name, table)}")
    return table[name]


class Pointwise(nn.Module):
    """A 1x1 convolution without bias; on a CPU, a matrix product.

    XLA's CPU backend computes the kernel gradient of a convolution from transposed
    copies of both operands. A product needs no copies, and is faster both forward and
    backward (benchmarks/README.md). Other devices use XLA's convolution.

    Attributes:
      channels: of the output.
      stride: along height and width.
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
    """A convolution without bias, [B, h, w, c] to [B, h', w', channels].

    The padding is the same on both sides, as in torchvision; XLA's "SAME" is not, where
    the stride is above 1. Weights are initialised as in He et al. (ICCV 2015).

    Args:
      channels: of the output.
      kernel: height and width of the kernel.
      stride: along height and width.
      padding: zeros added at each edge; a 1x1 convolution has none.
      dtype: of the computation; the parameter `kernel` is float32.
      name: of the module.
    """
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


def batch_norm(
    train: bool, *, dtype, name: str, use_bias: bool = True, images: int = 0
) -> nn.Module:
    """Batch normalisation over all axes but the last, with torchvision's constants.

    Under jit the statistics are those of the global batch, however it is sharded: no
    axis name is needed. They are computed and stored in float32.

    Args:
      train: whether the batch's statistics are used, else the running ones.
      dtype: of the result.
      name: of the module.
      use_bias: whether there is a shift.
      images: if not 0, every group of so many consecutive images has statistics of
        its own while training (see `GroupedBatchNorm`).
    """
    if train and images:
        return GroupedBatchNorm(images, use_bias, dtype=dtype, name=name)
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=_MOMENTUM,
        epsilon=_EPSILON,
        use_bias=use_bias,
        dtype=dtype,
        name=name,
    )


def conv_norm_relu(
    x: jax.Array,
    channels: int,
    kernel: int,
    stride: int = 1,
    *,
    train: bool,
    dtype,
    name: str,
    images: int = 0,
) -> jax.Array:
    """A padded convolution `name`, a batch norm `name`_norm and a ReLU.

    Maps [B, h, w, c] to [B, ceil(h / stride), ceil(w / stride), channels]. Arguments
    are as in `conv` and `batch_norm`; the kernel is odd.
    """
    padding = kernel // 2
    x = conv(channels, kernel, stride, padding=padding, dtype=dtype, name=name)(x)
    norm = batch_norm(train, dtype=dtype, name=f"{name}_norm", images=images)
    return nn.relu(norm(x))


def with_positions(image: jax.Array) -> jax.Array:
    """Adds two channels: how far down and to the right a pixel is, in [-1, 1].

    Maps [B, H, W, c] to [B, H, W, c + 2].
    """
    batch, height, width, _ = image.shape
    places = jnp.meshgrid(
        jnp.linspace(-1, 1, height), jnp.linspace(-1, 1, width), indexing="ij"
    )
    place = jnp.broadcast_to(jnp.stack(places, axis=-1), (batch, height, width, 2))
    return jnp.concatenate([image, place.astype(image.dtype)], axis=-1)


class GroupedBatchNorm(nn.Module):
    """Batch normalisation of training with statistics of groups of images.

    Ghost batch normalisation (Hoffer et al., NeurIPS 2017), which separate GPUs without
    synchronisation compute too. Here a group is a number of images, so the result does
    not depend on the number of devices; where each device has whole groups, they need
    not exchange statistics. The running averages follow the mean over the groups.

    Attributes:
      images: of a group; the batch is a multiple.
      use_bias: whether there is a shift.
      dtype: of the result; variables are those of `nn.BatchNorm`, in float32.
    """

    images: int
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, ..., c] to the same shape.

        Raises:
          ValueError: if B is not a multiple of `images`.
        """
        if x.shape[0] % self.images:
            raise ValueError(
                f"a batch of {x.shape[0]} images has no whole groups of "
                f"norm_images={self.images}"
            )
        channels = (x.shape[-1],)
        running = {
            "mean": self.variable("batch_stats", "mean", jnp.zeros, channels),
            "var": self.variable("batch_stats", "var", jnp.ones, channels),
        }
        scale = self.param("scale", nn.initializers.ones, channels, jnp.float32)
        groups = x.reshape(-1, self.images, *x.shape[1:]).astype(jnp.float32)
        axes = tuple(range(1, groups.ndim - 1))
        mean = groups.mean(axes, keepdims=True)
        square = (groups * groups).mean(axes, keepdims=True)
        var = jnp.maximum(square - mean * mean, 0)
        for name, new in (("mean", mean), ("var", var)):
            old = running[name]
            new = new.reshape(-1, *channels).mean(0)
            old.value = _MOMENTUM * old.value + (1 - _MOMENTUM) * new
        y = (groups - mean) * (jax.lax.rsqrt(var + _EPSILON) * scale)
        if self.use_bias:
            y += self.param("bias", nn.initializers.zeros, channels, jnp.float32)
        return y.astype(self.dtype).reshape(x.shape)


def max_pool(x: jax.Array) -> jax.Array:
    """3x3 max pooling with stride 2 and padding 1 of a map [B, h, w, c].

    On a CPU it is computed from maxima of shifted maps, where equal entries share the
    gradient. XLA's CPU backend computes the gradient of a reduce-window on one thread,
    which takes four times as long. On other devices the first of equal entries gets
    the gradient.
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


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def max_over(x: jax.Array, axis: int) -> jax.Array:
    """The maximum over an axis; the first of equal entries gets the gradient.

    The gradient of `jnp.max` divides by the number of entries equal to the maximum. If
    XLA recomputes x for it with a different rounding, that number can be 0 and the
    gradient nan (observed on a CPU at a low optimisation level). Choosing the position
    once avoids this.
    """
    return x.max(axis)


@max_over.defjvp
def _(axis, primals, tangents):
    (x,), (change,) = primals, tangents
    value, position = _largest(x, axis)
    chosen = jax.nn.one_hot(position, x.shape[axis], axis=axis, dtype=bool)
    return value, jnp.where(chosen, change, 0).sum(axis)


def _largest(x: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """The maximum over an axis and its first position, of one pass over x."""

    def larger(a, b):
        first = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] < b[1]))
        first |= jnp.isnan(a[0])
        return jnp.where(first, a[0], b[0]), jnp.where(first, a[1], b[1])

    axis %= x.ndim
    positions = jax.lax.broadcasted_iota(jnp.int32, x.shape, axis)
    start = (np.array(-np.inf, x.dtype), np.int32(0))
    return jax.lax.reduce((x, positions), start, larger, (axis,))


def max_over_positions(x: jax.Array) -> jax.Array:
    """The maximum of a map [B, h, w, c] over its positions, [B, c]."""
    return max_over(x.reshape(x.shape[0], -1, x.shape[-1]), axis=1)
