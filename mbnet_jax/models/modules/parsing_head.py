"""A light head that predicts parsing maps from a backbone's stages; ours."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import batch_norm, conv
from mbnet_jax.backbones.registry import Features
from mbnet_jax.models.modules.part_edges import PartEdges, with_edges
from mbnet_jax.parsing.labels import NUM_LABELS

# Cells of the logits along each side of a cell of the finest map. Transformers have
# one map, of patches of 14 or 16 pixels.
_FINER_THAN_STAGES, _FINER_THAN_PATCHES = 2, 4
# Factor of the logits. Adam's steps have a fixed size, and with so few channels many
# would pass before a label is predicted with confidence.
_SCALE = 8.0


class ParsingHead(nn.Module):
    """Sums a backbone's stages from coarse to fine, and labels each position.

    A feature pyramid (Lin et al., CVPR 2017) with one output level: each stage passes a
    1x1 convolution to `width` channels and a norm; from the coarsest stage on, the sum
    is enlarged and added to the next finer one; two 3x3 convolutions read the result. A
    last 1x1 convolution gives each cell of the finest stage 2x2 cells of logits
    (sub-pixel convolution; Shi et al., CVPR 2016). For a backbone without stages, it
    reads the final map, and gives each of its cells 4x4 cells of logits.

    Attributes:
      width: channels of the sum.
      norm_images: see `layers.batch_norm`.
      dtype: of the computation; the last convolution is in float32.
    """

    width: int = 48
    norm_images: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Features, *, train: bool) -> jax.Array:
        """Returns the logits of each label, float32 [B, H, W, NUM_LABELS].

        H and W are twice those of the finest stage, or four times those of the only
        map.
        """
        stages = features.stages or (features.map,)
        finer = _FINER_THAN_STAGES if features.stages else _FINER_THAN_PATCHES
        norm = functools.partial(
            batch_norm, train, dtype=self.dtype, images=self.norm_images
        )
        x = None
        for number, stage in reversed([*enumerate(stages, 1)]):
            y = conv(
                self.width, 1, padding=0, dtype=self.dtype, name=f"lateral{number}"
            )(jnp.asarray(stage, self.dtype))
            y = norm(name=f"lateral{number}_norm")(y)
            x = y if x is None else y + jax.image.resize(x, y.shape, "bilinear")
        for number in (1, 2):
            x = conv(self.width, 3, padding=1, dtype=self.dtype, name=f"conv{number}")(
                x
            )
            x = nn.relu(norm(name=f"norm{number}")(x))
        x = nn.Conv(
            finer * finer * NUM_LABELS,
            (1, 1),
            kernel_init=nn.initializers.variance_scaling(
                _SCALE**-2, "fan_in", "truncated_normal"
            ),
            dtype=jnp.float32,
            name="labels",
        )(x)
        return _SCALE * depth_to_space(x, finer)


def depth_to_space(x: jax.Array, factor: int) -> jax.Array:
    """Moves channels [B, h, w, f * f * c] to positions, [B, h * f, w * f, c]."""
    batch, height, width, channels = x.shape
    # Rows first: a TPU lays out five axes at once badly.
    x = x.reshape(batch * height, width, factor, channels // factor)
    x = x.transpose(0, 2, 1, 3)
    return x.reshape(batch, height * factor, width * factor, -1)


def predicted_parsing(
    logits: jax.Array, size: tuple[int, int], edges: PartEdges | None = None
) -> jax.Array:
    """The likeliest label of each pixel, uint8 [B, H, W].

    Args:
      logits: float32 [B, h, w, NUM_LABELS]; they are enlarged bilinearly.
      size: H, W.
      edges: where parts end, if the network says so; see `with_edges`.
    """
    shape = (logits.shape[0], *size, logits.shape[-1])
    logits = jax.image.resize(logits, shape, "bilinear")
    if edges is not None:
        return with_edges(logits, edges)
    return logits.argmax(-1).astype(jnp.uint8)
