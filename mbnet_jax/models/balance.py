"""The balance: how much each branch counts, image by image."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import l2_normalize


class Balance(nn.Module):
    """A weight for each branch from all branches' embeddings.

    The paper states that several identity features are kept in balance, so that the
    failure of one does not decide the match. Our reading: a two-layer MLP over the
    embeddings, softmax, times the number of branches. The last layer starts at
    zero, hence with equal weights. The embeddings' gradients are stopped: the
    balance learns whom to trust and does not change what the branches learn.

    Every branch keeps at least the weight `floor`. Without it the balance ends up
    with the one branch that fits the training people best, which is not a balance.

    Attributes:
      floor: the least weight of a branch, from 0 (free) to 1 (all weights equal).
      hidden: width of the hidden layer.
    """

    floor: float
    hidden: int = 64

    @nn.compact
    def __call__(self, embeddings: Sequence[jax.Array]) -> jax.Array:
        """Maps n embeddings, each [B, d] of length 1, to weights [B, n], float32.

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
    """The test embedding "all": [B, sum of d], of length 1.

    Each embedding times its weight [B, n], side by side, scaled to length 1. No
    gradient passes to the embeddings, only to the weights: a loss on the result
    trains the balance alone.
    """
    if weights is not None:
        embeddings = [
            jax.lax.stop_gradient(e) * weights[:, i, None]
            for i, e in enumerate(embeddings)
        ]
    else:
        embeddings = [jax.lax.stop_gradient(e) for e in embeddings]
    return l2_normalize(jnp.concatenate(embeddings, axis=-1))
