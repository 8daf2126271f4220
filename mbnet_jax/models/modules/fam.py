"""FAM, the feature attention module, in our reading."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import (
    batch_norm,
    known,
    max_over,
    max_over_positions,
)


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

    On synthetic people this gains nothing on the final map (docs/evidence.md). On few
    of them, s was higher on the background than on the person, and highest along one
    edge: the 7x7 kernel is wider than the 8x4 map, so it learns positions from the
    padding. Three alternatives are
    ours: to work on the map of an earlier stage (`MBNet.fam_stage`), and

      s = sigmoid(bn(conv1x1(relu(conv1x1(c * F)))))   (`spatial="pointwise"`)
      F' = 4 s * (c * F)                               (`residual=False`)

    The latter removes what lies where s is 0. The factor 4 keeps the scale of F, since
    c and s are about 0.5 before training.

    Attributes:
      reduction: hidden channels, of the shared MLP and of the pointwise attention, are
        channels / reduction, at least 8.
      spatial: "conv7", or "pointwise" for 1x1 convolutions, which cannot depend on
        the position.
      residual: whether F is added to the attended map.
      norm_images: see `images` of `layers.batch_norm`.
      dtype: of the computation on the map; both attentions are float32.
    """

    reduction: int = 16
    spatial: str = "conv7"
    residual: bool = True
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

        logits = known("spatial attention", self.spatial, _SPATIAL)(weighted, hidden)
        norm = batch_norm(
            train, dtype=jnp.float32, name="spatial_bn", images=self.norm_images
        )
        spatial = nn.sigmoid(norm(logits))
        if self.residual:
            return x + spatial.astype(x.dtype) * weighted, spatial
        return (4 * spatial).astype(x.dtype) * weighted, spatial


def _conv7(x: jax.Array, hidden: int) -> jax.Array:
    """Logits, float32 [B, h, w, 1], from the mean and the maximum over channels."""
    del hidden
    mean = x.mean(-1, dtype=jnp.float32)
    summary = jnp.stack([mean, max_over(x, axis=-1)], axis=-1)
    return nn.Conv(
        1,
        (7, 7),
        padding=((3, 3), (3, 3)),
        use_bias=False,
        dtype=jnp.float32,
        name="spatial",
    )(summary)


def _pointwise(x: jax.Array, hidden: int) -> jax.Array:
    """The same from each position's channels alone."""
    y = nn.Conv(hidden, (1, 1), dtype=x.dtype, name="spatial_reduce")(x)
    # The batch norm that follows has a bias.
    return nn.Conv(1, (1, 1), use_bias=False, dtype=jnp.float32, name="spatial")(
        nn.relu(y)
    )


_SPATIAL = {"conv7": _conv7, "pointwise": _pointwise}
