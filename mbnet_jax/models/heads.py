"""From a map to a feature, an embedding and identity logits."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import (
    batch_norm,
    known,
    l2_normalize,
    max_over_positions,
)


class GeM(nn.Module):
    """Generalised mean over positions (Radenovic et al., TPAMI 2019), p learned.

    p = 1 is the average, p to infinity the maximum; it starts at 3.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps a float32 map [B, h, w, c], not negative, to [B, c]."""
        p = self.param("p", nn.initializers.constant(3.0), (1,), jnp.float32)
        return (jnp.maximum(x, 1e-6) ** p).mean((1, 2)) ** (1 / p)


def _max_avg(x: jax.Array) -> jax.Array:
    return jnp.concatenate([max_over_positions(x), x.mean((1, 2))], axis=-1)


# name: a function that makes the pooling, [B, h, w, c] to [B, c] or [B, 2 c].
# "max_avg" stacks the maximum and the average, as in CAL (Gu et al., CVPR 2022).
POOLINGS = {
    "max_avg": lambda: _max_avg,
    "gem": lambda: GeM(name="gem"),
    "avg": lambda: lambda x: x.mean((1, 2)),
}


class ClothesClassifier(nn.Module):
    """Cosines of an embedding with the classes of clothes (CAL, Gu et al., CVPR 2022).

    One set of weights, read twice, so that two losses that pull in opposite directions
    can be summed: each has the gradient of one side alone.

    Attributes:
      num_clothes: classes of clothes in the training set.
    """

    num_clothes: int

    @nn.compact
    def __call__(self, embedding: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps float32 [B, d] of length 1 to cosines [B, num_clothes], twice.

        Gradients of the first pass to the weights alone, of the second to the
        embedding alone.
        """
        kernel = self.param(
            "kernel",
            nn.initializers.lecun_normal(),
            (embedding.shape[-1], self.num_clothes),
            jnp.float32,
        )
        directions = l2_normalize(kernel.T).T
        stop = jax.lax.stop_gradient
        return stop(embedding) @ directions, embedding @ stop(directions)


class IdentityHead(nn.Module):
    """Pooling, BNNeck and classifier (Luo et al., "Bag of Tricks", CVPRW 2019).

    The feature before the neck serves the triplet loss; after it, scaled to length
    1, it is the embedding for retrieval, and the classifier reads it unscaled. The
    neck has no shift and the classifier no bias. Everything here is float32.

    Attributes:
      num_classes: identities in the training set.
      pooling: a name in `POOLINGS`.
    """

    num_classes: int
    pooling: str = "max_avg"

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Maps [B, h, w, c] to feature [B, d], embedding [B, d], logits [B, classes].

        Raises:
          ValueError: if the pooling is not a known one.
        """
        pool = known("pooling", self.pooling, POOLINGS)()
        feature = pool(x.astype(jnp.float32))
        neck = batch_norm(train, dtype=jnp.float32, name="bnneck", use_bias=False)
        normalized = neck(feature)
        logits = nn.Dense(
            self.num_classes,
            use_bias=False,
            kernel_init=nn.initializers.normal(0.001),
            name="classifier",
        )(normalized)
        return feature, l2_normalize(normalized), logits
