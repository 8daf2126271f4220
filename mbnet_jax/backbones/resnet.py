"""Residual networks (He et al., CVPR 2016) with the layout of torchvision's.

The stride of a bottleneck is on its 3x3 convolution, the padding is symmetric, and the
names follow torchvision's, so that its weights, and timm's of the same names, convert
name by name (`layer1.0.conv1` is `layer1_0/conv1`, `downsample.0` and `.1` are
`downsample_conv` and `downsample_bn`). The last stage may keep its input's size, which
is usual in re-identification (Luo et al., "Bag of Tricks", CVPRW 2019).
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import batch_norm, conv, known, max_pool
from mbnet_jax.backbones.registry import Backbone, Features
from mbnet_jax.backbones.weights.torchvision_names import convert, likeness

# name: (blocks of each of the four stages, whether the blocks are bottlenecks).
# resnet10 is not in the paper: one block per stage, for small images on a CPU.
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
    norm_images: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps [B, h, w, c] to [B, h/stride, w/stride, channels (x 4)]."""
        c, stride = self.channels, self.stride
        norm = functools.partial(
            batch_norm, train, dtype=self.dtype, images=self.norm_images
        )
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
            y = norm(name=f"bn{i}")(y)
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
            x = norm(name="downsample_bn")(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A residual network without pooling and classifier.

    Attributes:
      blocks: of each of the four stages.
      bottleneck: the kind of block.
      width: channels of the stem; stage n has width * 2^n (x 4 with bottlenecks).
        64 is the standard network.
      stem: a name in `STEMS`.
      last_stride: stride of the last stage, 1 or 2.
      norm_images: consecutive images that share batch norm's statistics while
        training; 0: all of the batch.
      remat: whether the backward pass computes the inside of every block again, so
        that it need not be kept.
      dtype: of the computation; parameters and statistics are float32.
    """

    blocks: tuple[int, ...]
    bottleneck: bool
    width: int = 64
    stem: str = "imagenet"
    last_stride: int = 1
    norm_images: int = 0
    remat: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        train: bool,
        after: Mapping[int, Callable[[jax.Array], jax.Array]] | None = None,
    ) -> Features:
        """Maps images [B, H, W, c] to a map [B, h, w, d], and each stage's; no token.

        Args:
          x: the images.
          train: whether batch norm uses the batch's statistics.
          after: number of a stage, 1 to 4 -> what is applied to its map.

        Raises:
          ValueError: if the stem or the last stride is unknown.
        """
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
        norm = batch_norm(train, dtype=self.dtype, name="bn1", images=self.norm_images)
        x = nn.relu(norm(x))
        if stem.max_pool:
            x = max_pool(x)

        def run(block, x):
            return block(x, train=train)

        if self.remat:
            run = nn.remat(run)
        strides, after, stages = (1, 2, 2, self.last_stride), after or {}, []
        for stage, (count, stage_stride) in enumerate(
            zip(self.blocks, strides, strict=True)
        ):
            for i in range(count):
                block = Block(
                    channels=self.width * 2**stage,
                    stride=stage_stride if i == 0 else 1,
                    bottleneck=self.bottleneck,
                    norm_images=self.norm_images,
                    dtype=self.dtype,
                    name=f"layer{stage + 1}_{i}",
                )
                x = run(block, x)
            if stage + 1 in after:
                x = after[stage + 1](x)
            stages.append(x)
        return Features(x, stages=tuple(stages))


def backbone(blocks: tuple[int, ...], bottleneck: bool) -> Backbone:
    """The table's entry of a residual network."""
    return Backbone(
        make=functools.partial(ResNet, blocks, bottleneck),
        fields=("width", "stem", "last_stride", "norm_images", "remat"),
        convert=convert,
        published={"width": 64, "stem": "imagenet"},
        defaults={"width": 64, "stem": "imagenet", "last_stride": 2},
        likeness=functools.partial(likeness, blocks, bottleneck),
        stages=len(blocks),
        depths=layers_above,
    )


def layers_above(params: Mapping[str, Any]) -> dict[str, Any]:
    """The number of blocks above each parameter; all are above those of the stem."""
    blocks = sorted(
        (name for name in params if name.startswith("layer")),
        key=lambda name: [int(number) for number in re.findall(r"\d+", name)],
    )
    above = dict.fromkeys(params, len(blocks))
    above |= {name: len(blocks) - 1 - i for i, name in enumerate(blocks)}
    return {
        name: jax.tree.map(lambda _, name=name: above[name], tree)
        for name, tree in params.items()
    }
