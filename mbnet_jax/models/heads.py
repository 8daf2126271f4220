"""Heads: from a map to a feature, an embedding and identity logits."""

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
    """Generalised mean over positions (Radenovic et al., TPAMI 2019).

      (mean of x^p over positions)^(1/p)

    p = 1 is the average; as p grows, the mean approaches the maximum. p is learned and
    starts at 3.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps a non-negative map [B, h, w, c] to float32 [B, c]."""
        p = self.param("p", nn.initializers.constant(3.0), (1,), jnp.float32)
        x = x.astype(jnp.float32)
        return (jnp.maximum(x, 1e-6) ** p).mean((1, 2)) ** (1 / p)


def _avg(x: jax.Array) -> jax.Array:
    return x.mean((1, 2), dtype=jnp.float32)


def _max_avg(x: jax.Array) -> jax.Array:
    return jnp.concatenate([max_over_positions(x), _avg(x)], axis=-1)


# The values of `config.model.pooling`: name -> a function that builds the pooling,
# which maps [B, h, w, c] of any float dtype to float32 [B, c], or [B, 2 c] for
# "max_avg": it concatenates the maximum and the average, as CAL does (Gu et al., CVPR
# 2022). None writes the map in float32 first.
POOLINGS = {
    "max_avg": lambda: _max_avg,
    "gem": lambda: GeM(name="gem"),
    "avg": lambda: _avg,
}


class ClothesClassifier(nn.Module):
    """CAL's clothes classifier (Gu et al., CVPR 2022): cosines with its weights.

    The classifier learns to recognise clothes, while the embedding learns to hide them.
    Both losses can be summed, because each is given cosines that pass gradients to one
    side only.

    Attributes:
      num_clothes: classes of clothes in the training set; each is one outfit of one
        person.
    """

    num_clothes: int

    @nn.compact
    def __call__(self, embedding: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps embeddings to their cosines with each class of clothes, twice.

        Args:
          embedding: float32 [B, d], each of length 1.

        Returns:
          Two float32 arrays [B, num_clothes] of equal values. The first passes
          gradients only to the weights, the second only to the embedding.
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

      feature = pooling(map)
      neck = batch norm(feature), without shift
      embedding = neck / |neck|
      logits = neck W, without bias

    The triplet loss takes the feature, the cross-entropy the logits, and retrieval the
    embedding. The computation is float32.

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
        """Maps a map to a feature, an embedding and logits.

        Args:
          x: [B, h, w, c], of any float dtype.
          train: whether the neck uses the batch's statistics (and updates the running
            ones, in the collection "batch_stats").

        Returns:
          feature [B, d], embedding [B, d] and logits [B, num_classes], float32; d is
          2 c for the pooling "max_avg", else c.

        Raises:
          ValueError: if the pooling is unknown.
        """
        pool = known("pooling", self.pooling, POOLINGS)()
        feature = pool(x)
        neck = batch_norm(train, dtype=jnp.float32, name="bnneck", use_bias=False)
        normalized = neck(feature)
        logits = nn.Dense(
            self.num_classes,
            use_bias=False,
            kernel_init=nn.initializers.normal(0.001),
            name="classifier",
        )(normalized)
        return feature, l2_normalize(normalized), logits
