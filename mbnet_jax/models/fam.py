"""The feature attention module (FAM) of the clothing-unrelated branch."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import batch_norm, max_over, max_over_positions


class FeatureAttention(nn.Module):
    """Channel attention, then spatial attention, with a residual path.

    The paper states that FAM reduces local noise and background clutter and brings
    out fine detail. Our reading follows CBAM (Woo et al., ECCV 2018):

      c = sigmoid(mlp(mean of F over positions) + mlp(max of F over positions))
      s = sigmoid(bn(conv7x7(mean and max of c * F over channels)))
      F' = F + s * (c * F)

    so that F' = F where the attention s is zero. The batch norm, which CBAM's paper
    does not mention and its authors' code has, keeps the sigmoid where it can learn:
    without it the sums grow with the features, and s ends near 0 for every image.

    Attributes:
      reduction: the shared MLP's hidden width is channels / reduction, at least 8.
      dtype: of the computation on the map; both attentions are float32.
    """

    reduction: int = 16
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        """Maps F [B, h, w, c] to F' of the same shape and s [B, h, w, 1] float32."""
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
        x_32 = x.astype(jnp.float32)
        channel = nn.sigmoid(mlp(x_32.mean((1, 2))) + mlp(max_over_positions(x_32)))
        weighted = x * channel[:, None, None, :].astype(x.dtype)

        weighted_32 = weighted.astype(jnp.float32)
        summary = jnp.concatenate(
            [
                weighted_32.mean(-1, keepdims=True),
                max_over(weighted_32, axis=-1)[..., None],
            ],
            axis=-1,
        )
        logits = nn.Conv(
            1,
            (7, 7),
            padding=((3, 3), (3, 3)),
            use_bias=False,
            dtype=jnp.float32,
            name="spatial",
        )(summary)
        norm = batch_norm(train, dtype=jnp.float32, name="spatial_bn")
        spatial = nn.sigmoid(norm(logits))
        return x + spatial.astype(x.dtype) * weighted, spatial
