"""The cross fusion module (CFM): two-way attention between two maps."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax.backbones.layers import batch_norm, conv


def position_codes(height: int, width: int, channels: int) -> np.ndarray:
    """Sine and cosine codes of a grid's cells, float32 [height * width, channels].

    Half of the channels code the row, half the column. Coordinates are relative to
    the grid (cell centres, 0 to 1), so that maps of different size agree on where
    a place is; wave lengths run from twice the grid down to an eighth of it.

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


class CrossAttention(nn.Module):
    """One direction: LN(x + attention(x asks y)), multi-head (Vaswani et al., 2017).

    Attributes:
      heads: number of attention heads; they share the tokens' channels.
      dtype: of the products; softmax and layer norm are float32.
    """

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Maps tokens x [B, n, c] and y [B, m, c] to [B, n, c]."""
        # Who asks to see the weights gets them in the collection "intermediates".
        answer = nn.MultiHeadDotProductAttention(
            num_heads=self.heads,
            dtype=self.dtype,
            force_fp32_for_softmax=True,
            name="attention",
        )(x, y, sow_weights=True)
        return nn.LayerNorm(dtype=self.dtype, name="norm")(x + answer)


class CrossFusion(nn.Module):
    """Joins the mask branch's map and the clothing-unrelated branch's.

    The paper states a two-way cross attention between mask features and
    clothing-irrelevant features. Our reading: each map becomes tokens of a common
    width with 2-D position codes; each asks the other; the clothing-unrelated
    answer is resized (linearly) to the mask map's grid; both are stacked along the
    channels and projected (1x1 convolution, batch norm, ReLU) to the fused map.

    Attributes:
      width: channels of the tokens and of the fused map.
      heads: attention heads of each direction.
      dtype: of the computation.
    """

    width: int
    heads: int
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
        tokens_mask = self._tokens(mask, "tokens_mask")
        tokens_unrelated = self._tokens(unrelated, "tokens_unrelated")
        mask_asks = CrossAttention(self.heads, self.dtype, name="mask_asks")
        unrelated_asks = CrossAttention(self.heads, self.dtype, name="unrelated_asks")
        answer_mask = mask_asks(tokens_mask, tokens_unrelated)
        answer_unrelated = unrelated_asks(tokens_unrelated, tokens_mask)

        batch, height, width, _ = mask.shape
        grid = (batch, height, width, self.width)
        answer_mask = answer_mask.reshape(grid)
        answer_unrelated = jax.image.resize(
            answer_unrelated.reshape(*unrelated.shape[:3], self.width), grid, "linear"
        )
        joined = jnp.concatenate([answer_mask, answer_unrelated], axis=-1)
        fused = conv(self.width, 1, padding=0, dtype=self.dtype, name="project")(joined)
        return nn.relu(batch_norm(train, dtype=self.dtype, name="bn")(fused))

    def _tokens(self, x: jax.Array, name: str) -> jax.Array:
        batch, height, width, channels = x.shape
        x = x.reshape(batch, height * width, channels)
        x = nn.Dense(self.width, dtype=self.dtype, name=name)(x)
        return x + position_codes(height, width, self.width).astype(x.dtype)
