"""The knowledge transfer module (KTM) of the global branch."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class KnowledgeTransfer(nn.Module):
    """A spatial gate that emphasises what a change of clothes leaves as it was.

    The paper states that KTM carries what the clothing-unrelated branch has learned
    into the global branch, so that clothing-unrelated areas are emphasised. Our
    reading: g = sigmoid(conv(relu(conv(F)))) and F' = F * (1 + g). The gate sees F
    alone; the clothing-unrelated branch and the parsing map reach it through two
    losses only (`losses.distillation`, `losses.gate_area`), so a test image needs
    no parsing map.

    Attributes:
      reduction: the hidden convolution has channels / reduction, at least 8.
      dtype: of the computation on the map; the gate itself is float32.
    """

    reduction: int = 8
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps F [B, h, w, c] to F' of the same shape and g's logits, float32.

        The logits are [B, h, w, 1]; g is their sigmoid.
        """
        hidden = max(x.shape[-1] // self.reduction, 8)
        y = nn.relu(nn.Conv(hidden, (1, 1), dtype=self.dtype, name="reduce")(x))
        logits = nn.Conv(
            1, (3, 3), padding=((1, 1), (1, 1)), dtype=jnp.float32, name="gate"
        )(y)
        gate = nn.sigmoid(logits)
        return x * (1 + gate).astype(x.dtype), logits
