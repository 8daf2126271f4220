"""CFM, the cross fusion module, in our reading."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax.backbones.layers import batch_norm, conv

# CFM's two cross attentions: the map whose tokens are the queries -> the module's name.
DIRECTIONS = {"mask": "mask_to_unrelated", "unrelated": "unrelated_to_mask"}


class CrossFusion(nn.Module):
    """CFM: joins the mask branch's map and the clothing-unrelated branch's.

    The paper states a two-way cross attention between mask features and
    clothing-irrelevant features. Our reading: each map becomes tokens of a common
    width with 2-D position codes, and each set of tokens attends to the other. The
    clothing-unrelated tokens are then resized (linearly) to the mask map's grid; both
    are stacked along the channels and projected (1x1 convolution, batch norm, ReLU) to
    the fused map. On synthetic people it contributes most of all modules.

    Attributes:
      width: channels of the tokens and of the fused map.
      heads: attention heads of each direction.
      norm_images: see `images` of `layers.batch_norm`.
      dtype: of the computation.
    """

    width: int
    heads: int
    norm_images: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, mask: jax.Array, unrelated: jax.Array, *, train: bool
    ) -> jax.Array:
        """Maps [B, h, w, c] and [B, h', w', c'] to the fused map [B, h, w, width].

        Raises:
          ValueError: if the width is not a multiple of 4 and of the heads.
        """
        if self.width % self.heads:
            raise ValueError(
                f"fusion_width is {self.width}; it must be a multiple of "
                f"fusion_heads, {self.heads}"
            )
        mask_tokens = self._tokens(mask, "tokens_mask")
        unrelated_tokens = self._tokens(unrelated, "tokens_unrelated")
        mask_attends, unrelated_attends = (
            CrossAttention(self.heads, self.dtype, name=DIRECTIONS[queries])
            for queries in ("mask", "unrelated")
        )
        fused_mask = mask_attends(mask_tokens, unrelated_tokens)
        fused_unrelated = unrelated_attends(unrelated_tokens, mask_tokens)

        batch, height, width, _ = mask.shape
        grid = (batch, height, width, self.width)
        fused_mask = fused_mask.reshape(grid)
        fused_unrelated = jax.image.resize(
            fused_unrelated.reshape(*unrelated.shape[:3], self.width), grid, "linear"
        )
        joined = jnp.concatenate([fused_mask, fused_unrelated], axis=-1)
        fused = conv(self.width, 1, padding=0, dtype=self.dtype, name="project")(joined)
        norm = batch_norm(train, dtype=self.dtype, name="bn", images=self.norm_images)
        return nn.relu(norm(fused))

    def _tokens(self, x: jax.Array, name: str) -> jax.Array:
        batch, height, width, channels = x.shape
        x = x.reshape(batch, height * width, channels)
        x = nn.Dense(self.width, dtype=self.dtype, name=name)(x)
        return x + position_codes(height, width, self.width).astype(x.dtype)


class CrossAttention(nn.Module):
    """One direction of CFM: LN(x + attention(queries x, keys and values y)).

    Multi-head attention (Vaswani et al., 2017). Its weights are sown into the
    collection "intermediates".

    Attributes:
      heads: number of attention heads; they share the tokens' channels.
      dtype: of the products; softmax and layer norm are float32.
    """

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Maps tokens x [B, n, c] and y [B, m, c] to [B, n, c]."""
        attended = nn.MultiHeadDotProductAttention(
            num_heads=self.heads,
            dtype=self.dtype,
            force_fp32_for_softmax=True,
            name="attention",
        )(x, y, sow_weights=True)
        return nn.LayerNorm(dtype=self.dtype, name="norm")(x + attended)


def position_codes(height: int, width: int, channels: int) -> np.ndarray:
    """Sine and cosine codes of a grid's cells, float32 [height * width, channels].

    Half of the channels code the row, half the column. Coordinates are relative to
    the grid (cell centres, 0 to 1), so maps of different sizes agree on positions.
    Wavelengths run from twice the grid down to an eighth of it.

    Raises:
      ValueError: if `channels` is not a multiple of 4.
    """
    if channels % 4:
        raise ValueError(f"fusion_width is {channels}; it must be a multiple of 4")
    frequencies = np.pi * np.geomspace(1, 16, channels // 4)

    def waves(size: int) -> np.ndarray:
        angles = np.outer((np.arange(size) + 0.5) / size, frequencies)
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    rows = np.repeat(waves(height), width, axis=0)
    columns = np.tile(waves(width), (height, 1))
    return np.concatenate([rows, columns], axis=1).astype(np.float32)
