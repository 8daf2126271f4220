"""Heads: from a map and a token to a feature, an embedding and identity logits."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones import Features
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


def _avg(features: Features) -> jax.Array:
    return features.map.mean((1, 2), dtype=jnp.float32)


def _max_avg(features: Features) -> jax.Array:
    return jnp.concatenate([max_over_positions(features.map), _avg(features)], axis=-1)


def _gem(features: Features) -> jax.Array:
    return GeM(name="gem")(features.map)


def _token(features: Features) -> jax.Array:
    if features.token is None:
        raise ValueError(
            "the pooling reads a class token, which this backbone does not have; "
            "choose max_avg, gem or avg"
        )
    return features.token.astype(jnp.float32)


def _token_avg(features: Features) -> jax.Array:
    return jnp.concatenate([_token(features), _avg(features)], axis=-1)


# The values of `config.model.pooling`: name -> a function of a map [B, h, w, c] and a
# token [B, c], of any float dtype, to float32 [B, c]. Two concatenate two of these to
# [B, 2 c]: "max_avg" the maximum and the average, as CAL does (Gu et al., CVPR 2022),
# and "token_avg" the class token and the average. None writes the map in float32 first.
POOLINGS = {
    "max_avg": _max_avg,
    "gem": _gem,
    "avg": _avg,
    "token": _token,
    "token_avg": _token_avg,
}
# Those that read a class token.
OF_TOKENS = ("token", "token_avg")
# Those that concatenate two summaries.
_TWICE = ("max_avg", "token_avg")


def pooled_size(pooling: str, channels: int) -> int:
    """The size of what a pooling makes of a map of so many channels."""
    return channels * (2 if pooling in _TWICE else 1)


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

      feature = pooling(map, token)
      neck = batch norm(feature), without shift, then `refine`
      embedding = neck / |neck|
      logits = neck W, without bias

    The triplet loss takes the feature, the cross-entropy the logits, and retrieval the
    embedding. The computation is float32.

    Attributes:
      num_classes: identities in the training set; 0: no classifier.
      pooling: a name in `POOLINGS`.
    """

    num_classes: int
    pooling: str = "max_avg"

    @nn.compact
    def __call__(
        self,
        features: Features,
        *,
        train: bool,
        refine: Callable[[jax.Array], jax.Array] | None = None,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Maps a map and a token to a feature, an embedding and logits.

        Args:
          features: a map [B, h, w, c] and, for the poolings `OF_TOKENS`, a token
            [B, c], of any float dtype.
          train: whether the neck uses the batch's statistics (and updates the running
            ones, in the collection "batch_stats").
          refine: what is applied to the neck, float32 [B, d]; None: nothing.

        Returns:
          feature [B, d], embedding [B, d] and logits [B, num_classes], float32; d is
          2 c for the poolings "max_avg" and "token_avg", else c.

        Raises:
          ValueError: if the pooling is unknown, or reads a token and there is none.
        """
        feature = known("pooling", self.pooling, POOLINGS)(features)
        neck = batch_norm(train, dtype=jnp.float32, name="bnneck", use_bias=False)
        normalized = neck(feature)
        if refine is not None:
            normalized = refine(normalized)
        logits = normalized[:, :0]
        if self.num_classes:
            logits = nn.Dense(
                self.num_classes,
                use_bias=False,
                kernel_init=nn.initializers.normal(0.001),
                name="classifier",
            )(normalized)
        return feature, l2_normalize(normalized), logits
