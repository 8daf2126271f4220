"""KTM, the knowledge transfer module, in our reading."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class KnowledgeTransfer(nn.Module):
    """KTM: a spatial gate on the global branch's map F.

    The paper states that KTM carries what the clothing-unrelated branch has learned
    into the global branch, so that clothing-unrelated areas are emphasised. Our
    reading:

      g = sigmoid(conv3x3(relu(conv1x1(F))))
      F' = F * (1 + g)

    The gate reads F alone. The clothing-unrelated branch and the parsing map reach it
    through two losses (`losses.distillation`, `losses.gate_area`), so a test image
    needs no parsing map. On 600 synthetic people the branch gains more than a third of
    its mAP where clothes change, on 56 a little; there the gate was nearly the same in
    every image, and its area loss gained nothing (docs/evidence.md).

    `zoom.Locator`, ours, takes its place as a gate on the image. Three more additions
    are ours: F may be the map of an earlier stage, which has smaller cells
    (`MBNet.ktm_stage`), embeddings and similarities may be distilled too
    (`losses.feature_distillation`, `losses.similarity_distillation`), and without
    `residual`, F' = 2 g F, so that the gate can remove clothes, not only emphasise what
    is not clothes.

    Attributes:
      residual: whether the gated map is added to F, or replaces it.
      reduction: the hidden convolution has channels / reduction, at least 8.
      dtype: of the computation on the map; the gate itself is float32.
    """

    residual: bool = True
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
        # The gate starts near a half.
        factor = 1 + gate if self.residual else 2 * gate
        return x * factor.astype(x.dtype), logits
