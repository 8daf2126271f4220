"""The balance of the branches, in our reading, and their combination."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import l2_normalize


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
