"""A linear projection of all branches' embeddings to a single one; ours."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import l2_normalize


class Projection(nn.Module):
    """A linear map of all branches' embeddings, in place of a weight for each branch.

      combined = W [e_1, e_2, ...], scaled to length 1

    Ours. A weight scales all directions of a branch alike. W can also suppress single
    directions within a branch that vary between images of one person, such as the
    colours of clothes. It is trained by a loss on the result
    (`losses.supervised_contrastive`). The gradient stops at the embeddings, so the
    branches learn the same with and without it.

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
