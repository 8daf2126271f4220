"""The modules of MBNet: KTM, FAM, CFM and the balance, each in our reading.

docs/method.md separates what the paper states from our reading, docs/evidence.md what
each module is for from what it was seen to do.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax.backbones.layers import (
    batch_norm,
    conv,
    l2_normalize,
    max_over,
    max_over_positions,
)

# CFM's two cross attentions: the map whose tokens are the queries -> the module's name.
DIRECTIONS = {"mask": "mask_to_unrelated", "unrelated": "unrelated_to_mask"}


class KnowledgeTransfer(nn.Module):
    """KTM: a spatial gate on the global branch's map F.

    The paper states that KTM carries what the clothing-unrelated branch has learned
    into the global branch, so that clothing-unrelated areas are emphasised. Our
    reading:

      g = sigmoid(conv3x3(relu(conv1x1(F))))
      F' = F * (1 + g)

    The gate reads F alone. The clothing-unrelated branch and the parsing map reach it
    through two losses (`losses.distillation`, `losses.gate_area`), so a test image
    needs no parsing map. On synthetic people distillation helps the branch a little;
    the gate is nearly the same in every image, and its area loss gains nothing.

    Attributes:
      reduction: the hidden convolution has channels / reduction, at least 8.
      dtype: of the computation on the map; the gate itself is float32.
    """

    reduction: int = 8
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps F [B, h, w, c] to F' of the same shape and the gate's logits.

        The logits are float32 [B, h, w, 1]; g is their sigmoid.
        """
        hidden = max(x.shape[-1] // self.reduction, 8)
        y = nn.relu(nn.Conv(hidden, (1, 1), dtype=self.dtype, name="reduce")(x))
        logits = nn.Conv(
            1, (3, 3), padding=((1, 1), (1, 1)), dtype=jnp.float32, name="gate"
        )(y)
        gate = nn.sigmoid(logits)
        return x * (1 + gate).astype(x.dtype), logits


class FeatureAttention(nn.Module):
    """FAM: channel attention, then spatial attention, with a residual path.

    The paper states that FAM reduces local noise and background clutter and brings
    out fine detail. Our reading follows CBAM (Woo et al., ECCV 2018):

      c = sigmoid(mlp(mean of F over positions) + mlp(max of F over positions))
      s = sigmoid(bn(conv7x7(mean and max of c * F over channels)))
      F' = F + s * (c * F)

    so F' = F where the attention s is zero. CBAM's paper does not mention the batch
    norm, its authors' code has it. Without it the sums grow with the features, and s
    saturates near 0 in every image.

    On synthetic people FAM gains nothing: s is higher on the background than on the
    person, and highest along one edge. The 7x7 kernel is wider than the 8x4 map, so it
    learns positions from the padding.

    Attributes:
      reduction: the shared MLP's hidden width is channels / reduction, at least 8.
      norm_images: as of `layers.batch_norm`'s `images`.
      dtype: of the computation on the map; both attentions are float32.
    """

    reduction: int = 16
    norm_images: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        """Maps F [B, h, w, c] to F' of the same shape and s, float32 [B, h, w, 1]."""
        x = jnp.asarray(x, self.dtype)
        channels = x.shape[-1]
        hidden = max(channels // self.reduction, 8)
        mlp = nn.Sequential(
            [
                nn.Dense(hidden, dtype=jnp.float32, name="squeeze"),
                nn.relu,
                nn.Dense(channels, dtype=jnp.float32, name="excite"),
            ]
        )
        mean = x.mean((1, 2), dtype=jnp.float32)
        channel = nn.sigmoid(mlp(mean) + mlp(max_over_positions(x)))
        weighted = x * channel[:, None, None, :].astype(x.dtype)

        mean = weighted.mean(-1, dtype=jnp.float32)
        summary = jnp.stack([mean, max_over(weighted, axis=-1)], axis=-1)
        logits = nn.Conv(
            1,
            (7, 7),
            padding=((3, 3), (3, 3)),
            use_bias=False,
            dtype=jnp.float32,
            name="spatial",
        )(summary)
        norm = batch_norm(
            train, dtype=jnp.float32, name="spatial_bn", images=self.norm_images
        )
        spatial = nn.sigmoid(norm(logits))
        return x + spatial.astype(x.dtype) * weighted, spatial


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
      norm_images: as of `layers.batch_norm`'s `images`.
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


class Balance(nn.Module):
    """A weight per branch and image, from the embeddings of all branches.

    The paper states that several identity features are kept in balance, so that the
    failure of one does not decide the match. Our reading: a two-layer MLP over the
    embeddings, softmax, times the number of branches. The last layer starts at zero,
    so the weights start equal. Gradients to the embeddings are stopped, so the balance
    does not change what the branches learn. On synthetic people it beats equal weights
    when clothes change, but the same weights for every image do as well.

    Every branch keeps at least the weight `floor`. Without it the balance settles on
    nearly one branch (the mask branch, on synthetic people).

    Attributes:
      floor: the least weight of a branch, from 0 (free) to 1 (all weights equal).
      hidden: width of the hidden layer.
    """

    floor: float
    hidden: int = 64

    @nn.compact
    def __call__(self, embeddings: Sequence[jax.Array]) -> jax.Array:
        """Maps n embeddings, each [B, d] of length 1, to weights, float32 [B, n].

        The weights are at least `floor`, with a mean of 1 over the branches.

        Raises:
          ValueError: if the floor is not in [0, 1].
        """
        if not 0 <= self.floor <= 1:
            raise ValueError(f"balance_floor is {self.floor}; it must be in [0, 1]")
        x = jax.lax.stop_gradient(jnp.concatenate(embeddings, axis=-1))
        x = nn.relu(nn.Dense(self.hidden, name="hidden")(x))
        logits = nn.Dense(
            len(embeddings), kernel_init=nn.initializers.zeros, name="weights"
        )(x)
        return self.floor + (1 - self.floor) * nn.softmax(logits) * len(embeddings)


def combine(embeddings: Sequence[jax.Array], weights: jax.Array | None) -> jax.Array:
    """The combined test embedding: [B, sum of d], of length 1.

    Concatenates the embeddings, each times its weight of [B, n], and scales the result
    to length 1. Gradients pass to the weights alone, not to the embeddings: a loss on
    the result trains the balance.
    """
    embeddings = [jax.lax.stop_gradient(e) for e in embeddings]
    if weights is not None:
        embeddings = [e * weights[:, i, None] for i, e in enumerate(embeddings)]
    return l2_normalize(jnp.concatenate(embeddings, axis=-1))
