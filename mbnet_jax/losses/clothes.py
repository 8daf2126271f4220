"""Clothes recognised and hidden (CAL; Gu et al., CVPR 2022), or projected out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from mbnet_jax.losses.arrays import as_float32


class Clothes(NamedTuple):
    """What these losses need to know of a batch's clothes.

    label: int32 [B], the class of each image's outfit; below 0 where it is unknown:
      such images are left out of the losses.
    same_person: bool [B, num_clothes], whether a class belongs to the image's person.
    started: float32 scalar, 1 from the start epoch on, 0 before.
    """

    label: jax.Array
    same_person: jax.Array
    started: jax.Array


def clothes_classification(
    cosines: jax.Array, clothes: jax.Array, temperature: float
) -> jax.Array:
    """CAL's clothes classifier's own loss: cross-entropy of cosines / temperature.

    The mean over the images of known clothes; 0 where there are none.

    Args:
      cosines: [B, C], of each image with each class of clothes.
      clothes: integers [B], 0 to C - 1; below 0 where they are unknown.
      temperature: above 0.
    """
    worn = jax.nn.one_hot(clothes, cosines.shape[-1], dtype=jnp.float32)
    each = optax.softmax_cross_entropy(as_float32(cosines) / temperature, worn)
    return _mean_where(each, clothes >= 0)


def _mean_where(values: jax.Array, counted: jax.Array) -> jax.Array:
    """The mean of the values that count, [B]; 0 where none does."""
    share = len(values) / jnp.maximum(counted.sum(), 1)  # 1 if all count
    return jnp.where(counted, values, 0).mean() * share


def clothes_adversarial(
    cosines: jax.Array,
    clothes: jax.Array,
    same_person: jax.Array,
    temperature: float,
    epsilon: float,
) -> jax.Array:
    """The clothes-based adversarial loss (CAL, Gu et al., CVPR 2022).

    Every class of clothes of the image's own person is a positive one. Each has a
    log-probability against itself and all clothes of other people, so that a person's
    clothes do not compete. The loss is minus their weighted sum, the mean over the
    images of known clothes. Each of a person's K classes weighs epsilon / K, and the
    one that is worn 1 - epsilon more: epsilon is how much the features are to confuse
    them.

    Args:
      cosines: [B, C], of each image with each class of clothes.
      clothes: integers [B], 0 to C - 1, of each image; below 0 where it is unknown.
      same_person: bool [B, C], whether a class is of the image's person.
      temperature: above 0.
      epsilon: 0 to 1.
    """
    logits = as_float32(cosines) / temperature
    others = jnp.where(same_person, -jnp.inf, logits)
    others = jax.nn.logsumexp(others, axis=-1, keepdims=True)
    log_p = logits - jnp.logaddexp(logits, others)
    shared = same_person / jnp.maximum(same_person.sum(-1, keepdims=True), 1)
    worn = jax.nn.one_hot(clothes, logits.shape[-1], dtype=jnp.float32)
    target = (1 - epsilon) * worn + epsilon * shared
    return _mean_where(-(target * log_p).sum(-1), clothes >= 0)


def clothes_subspace(
    features: jax.Array, directions: jax.Array, pid: jax.Array, clothes: jax.Array
) -> jax.Array:
    """The share of the features' variation with clothes that the directions miss.

    The features of each outfit are averaged, and the mean over the outfits of its
    person is subtracted. The loss is the share, from 0 to 1, of these differences'
    squared length that lies outside the directions, over all outfits of the batch. It
    is smallest if the directions are the differences' principal components. Persons
    with a single known outfit do not count; if there are no others, the loss is 0.
    Gradients pass to the directions alone.

    Args:
      features: [B, d], before the projection.
      directions: float32 [d, r], orthonormal columns.
      pid: integers [B], the persons.
      clothes: integers [B], each of one person; below 0 where they are unknown.
    """
    known = clothes >= 0
    both = known[:, None] & known
    same_outfit = both & (clothes[:, None] == clothes)
    same_person = both & (pid[:, None] == pid)
    # Of each image, so that each outfit weighs 1.
    weight = known / jnp.maximum(same_outfit.sum(-1), 1)
    outfits = (same_person * weight).sum(-1)  # of an image's person
    counted = outfits > 1.5  # a sum of fractions, up to rounding
    to_outfit = same_outfit * weight
    to_person = same_person * weight / jnp.maximum(outfits, 1)[:, None]
    features = jax.lax.stop_gradient(as_float32(features))
    differences = jnp.matmul(to_outfit - to_person, features, precision="highest")
    differences *= jnp.sqrt(weight * counted)[:, None]
    inside = jnp.matmul(differences, directions, precision="highest")
    total = (differences**2).sum()
    share = (inside**2).sum() / jnp.where(total > 0, total, 1)
    return jnp.where(total > 0, 1 - share, 0)
