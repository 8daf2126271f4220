"""The projection of all branches' embeddings to one, ours."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import l2_normalize


class Projection(nn.Module):
    """One linear map of all branches' embeddings, in place of weights of the branches.

      combined = W [e_1, e_2, ...], scaled to length 1

    Ours. A weight scales all of a branch's directions alike; W also turns down those
    within a branch that differ between images of one person, such as the colours of
    clothes. A loss on the result trains it (`losses.supervised_contrastive`), whose
    gradient stops at the embeddings: the branches do not change.

    Attributes:
      width: dimensions of the result.
    """

    width: int

    @nn.compact
    def __call__(self, embeddings: Sequence[jax.Array]) -> jax.Array:
        """Maps n embeddings, each [B, d] of length 1, to float32 [B, width]."""
        x = jax.lax.stop_gradient(jnp.concatenate(embeddings, axis=-1))
        x = nn.Dense(self.width, use_bias=False, dtype=jnp.float32, name="linear")(x)
        return l2_normalize(x)
