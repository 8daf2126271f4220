"""Residual networks that end in a map, laid out as torchvision's.

Architecture: He et al., "Deep Residual Learning for Image Recognition", CVPR
2016, with the stride of a bottleneck on its 3x3 convolution, as in torchvision.
The padding is explicit and symmetric, and the names follow torchvision's, so that
its weights can be converted name by name (`layer1.0.conv1` is `layer1_0/conv1`,
`downsample.0` and `.1` are `downsample_conv` and `downsample_bn`). The last stage
may keep its input's size, which is usual in re-identification (Luo et al., "Bag of
Tricks", CVPRW 2019).
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import batch_norm, conv, known, max_pool

# name: (blocks of each of the four stages, whether the blocks are bottlenecks).
# resnet10 is not in the paper: one block a stage, for small images on a CPU.
DEPTHS = {
    "resnet10": ((1, 1, 1, 1), False),
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
}


class Stem(NamedTuple):
    """The first convolution: its square kernel, stride, padding; then the pool."""

    kernel: int
    stride: int
    padding: int
    max_pool: bool


# "imagenet" and "patch" shrink by 4, "small" by 2. "patch" costs the least.
STEMS = {
    "imagenet": Stem(7, 2, 3, True),
    "small": Stem(3, 2, 1, False),
    "patch": Stem(4, 4, 0, False),
}


class Block(nn.Module):
    """A residual block, basic (two 3x3) or bottleneck (1x1, 3x3, 1x1 to 4x)."""

    channels: int
    stride: int
    bottleneck: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps [B, h, w, c] to [B, h/stride, w/stride, channels (x 4)]."""
        c, stride = self.channels, self.stride
        if self.bottleneck:
            # (channels, kernel, stride) of each convolution.
            plan = ((c, 1, 1), (c, 3, stride), (4 * c, 1, 1))
        else:
            plan = ((c, 3, stride), (c, 3, 1))

        y = x
        for i, (features, kernel, step) in enumerate(plan, 1):
            y = conv(
                features,
                kernel,
                step,
                padding=kernel // 2,
                dtype=self.dtype,
                name=f"conv{i}",
            )(y)
            y = batch_norm(train, dtype=self.dtype, name=f"bn{i}")(y)
            if i < len(plan):
                y = nn.relu(y)

        if x.shape != y.shape:
            x = conv(
                y.shape[-1],
                1,
                stride,
                padding=0,
                dtype=self.dtype,
                name="downsample_conv",
            )(x)
            x = batch_norm(train, dtype=self.dtype, name="downsample_bn")(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A residual network without pooling and classifier.

    Attributes:
      depth: a name in `DEPTHS`.
      width: channels of the stem; stage n has width * 2^n (x 4 with bottlenecks).
        64 is the standard network.
      stem: a name in `STEMS`.
      last_stride: stride of the last stage, 1 or 2.
      dtype: of the computation; parameters and statistics are float32.
    """

    depth: str = "resnet50"
    width: int = 64
    stem: str = "imagenet"
    last_stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images [B, H, W, c] to a map [B, h, w, d], h = H / `stride`.

        Raises:
          ValueError: if the depth, the stem or the last stride is not a known one.
        """
        blocks, bottleneck = known("backbone", self.depth, DEPTHS)
        stem = known("stem", self.stem, STEMS)
        if self.last_stride not in (1, 2):
            raise ValueError(f"last_stride is {self.last_stride}; it must be 1 or 2")

        x = conv(
            self.width,
            stem.kernel,
            stem.stride,
            padding=stem.padding,
            dtype=self.dtype,
            name="conv1",
        )(jnp.asarray(x, self.dtype))
        x = nn.relu(batch_norm(train, dtype=self.dtype, name="bn1")(x))
        if stem.max_pool:
            x = max_pool(x)

        strides = (1, 2, 2, self.last_stride)
        for stage, (count, stage_stride) in enumerate(
            zip(blocks, strides, strict=True)
        ):
            for i in range(count):
                x = Block(
                    channels=self.width * 2**stage,
                    stride=stage_stride if i == 0 else 1,
                    bottleneck=bottleneck,
                    dtype=self.dtype,
                    name=f"layer{stage + 1}_{i}",
                )(x, train=train)
        return x

    @property
    def stride(self) -> int:
        """Pixels of the image, each way, to one position of the map."""
        stem = known("stem", self.stem, STEMS)
        return stem.stride * (2 if stem.max_pool else 1) * 4 * self.last_stride
