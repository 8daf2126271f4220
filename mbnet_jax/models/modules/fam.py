"""FAM, the feature attention module, in our reading."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import batch_norm, max_over, max_over_positions


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
