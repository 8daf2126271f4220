"""A small network that predicts parsing maps from the image itself; ours."""

import functools
from string import ascii_lowercase
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import conv, conv_norm_relu, with_positions
from mbnet_jax.models.modules.parsing_head import depth_to_space
from mbnet_jax.models.modules.part_edges import PartEdges
from mbnet_jax.parsing.labels import CROPPED, NUM_LABELS

_ROWS = 128  # of the image that is read; a larger one is shrunk first
_JOINED = 48  # channels of the way back, at most
_EDGES = 48  # channels of the profiles
_SCALE = 8.0  # of the logits, as in `ParsingHead`


class _Stride(NamedTuple):
    channels: int
    blocks: int = 1  # with a residual
    joins: int = 1  # convolutions on the way back


# At strides 2, 4, 8 and 16. The large one has more channels and layers at the fine
# strides, since the small one's outlines are coarse even in clear images.
SIZES = {
    "small": (_Stride(16), _Stride(32), _Stride(64), _Stride(96)),
    "large": (_Stride(24, 2, 2), _Stride(48, 2, 2), _Stride(64, 2), _Stride(96)),
}


class ImageParser(nn.Module):
    """Labels each position of an image, and says where head and legs end.

    A U-Net (Ronneberger et al., MICCAI 2015) that adds where that one concatenates, in
    place of `ParsingHead`: it needs no branch, and no zoom or mask of a branch's view
    changes what it sees. It reads each pixel's position too. Edges are read from
    profiles: the maximum and the mean of the finest map over each row, and over each
    column, with three convolutions along the profile.

    Attributes:
      size: of `SIZES`.
      norm_images: see `layers.batch_norm`.
      dtype: of the computation; the last convolutions are in float32.
    """

    size: str = "small"
    norm_images: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool) -> tuple[jax.Array, PartEdges]:
        """Maps an image, float32 [B, H, W, 3], normalised, to logits and edges.

        Returns:
          The logits of each label, float32 [B, H', W', NUM_LABELS], and `PartEdges` of
          H'/2 rows and W'/2 columns. H' and W' are H and W, or of an image of
          more than 128 rows, 128 and W * 128 / H; rounded up to even numbers.
        """
        convolved = functools.partial(
            conv_norm_relu, train=train, dtype=self.dtype, images=self.norm_images
        )

        def passed(x, channels, name):
            return conv(channels, 1, padding=0, dtype=self.dtype, name=name)(x)

        strides = SIZES[self.size]
        x = with_positions(_shrunk(image))
        stages = []
        for number, (channels, blocks, _) in enumerate(strides, 1):
            x = convolved(x, channels, 3, 2, name=f"shrink{number}")
            for block in range(blocks):
                letters = ascii_lowercase[2 * block :]
                y = convolved(x, channels, 3, name=f"stage{number}{letters[0]}")
                if number > 2:  # where it is cheap
                    y = convolved(y, channels, 3, name=f"stage{number}{letters[1]}")
                x = x + y
            stages.append(x)
        joined = []
        for number, stage in reversed([*enumerate(stages, 1)]):
            channels = min(stage.shape[-1], _JOINED)
            x = passed(stage, channels, f"lateral{number}")
            if joined:
                coarse = _resized(joined[-1], x)
                if coarse.shape[-1] != channels:
                    coarse = passed(coarse, channels, f"enlarged{number}")
                x = x + coarse
            for letter in ("", *ascii_lowercase[1 : strides[number - 1].joins]):
                x = convolved(x, channels, 3, name=f"join{number}{letter}")
            joined.append(x)
        finest = joined[-1]
        logits = nn.Conv(4 * NUM_LABELS, (1, 1), dtype=jnp.float32, name="labels")(
            finest
        )
        both = [finest, _resized(joined[-2], finest)]
        x = convolved(jnp.concatenate(both, axis=-1), 32, 3, name="edges")
        rows, columns = (
            self._edges(jnp.concatenate([x.max(axis), x.mean(axis)], -1), name)
            for axis, name in ((2, "rows"), (1, "columns"))
        )
        return _SCALE * depth_to_space(logits, 2), PartEdges(rows, columns)

    def _edges(self, x: jax.Array, name: str) -> jax.Array:
        """Logits of each edge's cell, [B, parts, 2, n], from a profile [B, n, c]."""

        def along(x, number):
            module = nn.Conv(_EDGES, (7,), dtype=self.dtype, name=f"{name}{number}")
            return nn.relu(module(x))

        x = along(along(x, 1), 2)
        whole = jnp.broadcast_to(x.mean(1, keepdims=True), x.shape)
        x = along(jnp.concatenate([x, whole], axis=-1), 3)
        last = nn.Conv(2 * len(CROPPED), (1,), dtype=jnp.float32, name=f"{name}_edges")
        x = last(x).swapaxes(1, 2)
        return x.reshape(x.shape[0], len(CROPPED), 2, -1)


def _shrunk(image: jax.Array) -> jax.Array:
    batch, height, width, channels = image.shape
    if height <= _ROWS:
        return image
    shape = (batch, _ROWS, max(round(width * _ROWS / height), 1), channels)
    return jax.image.resize(image, shape, "bilinear")


def _resized(x: jax.Array, like: jax.Array) -> jax.Array:
    return jax.image.resize(x, (*like.shape[:3], x.shape[-1]), "bilinear")
