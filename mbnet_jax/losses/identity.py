"""Cross-entropy and triplet loss, which every branch has."""

import jax
import jax.numpy as jnp
import optax

from mbnet_jax.losses.arrays import as_float32


def cross_entropy(
    logits: jax.Array, labels: jax.Array, smoothing: float = 0.0
) -> jax.Array:
    """Label-smoothed cross-entropy (Szegedy et al., CVPR 2016).

    The target is (1 - smoothing) at the label plus smoothing / C everywhere.

    Args:
      logits: [B, C].
      labels: integers [B], 0 to C - 1.
      smoothing: 0 to 1.
    """
    logits = as_float32(logits)
    targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=jnp.float32)
    targets = optax.smooth_labels(targets, smoothing)
    return optax.softmax_cross_entropy(logits, targets).mean()


def batch_hard_triplet(
    features: jax.Array, pid: jax.Array, margin: float | None = None
) -> jax.Array:
    """Batch-hard triplet loss (Hermans et al., "In Defense of the Triplet Loss").

    For every anchor, d+ is the Euclidean distance to the farthest image of the same
    person and d- to the nearest of another one; the loss is the mean of
    max(d+ - d- + margin, 0), or of log(1 + exp(d+ - d-)) without a margin (soft
    margin), over the anchors that have both. Without any, it is 0.

    The choice is made on distances from inner products; the chosen distances are
    then computed from differences, which is exact for near images and has a zero
    gradient at distance zero.

    Args:
      features: [B, D].
      pid: integers [B], the persons.
      margin: in the units of the distance, or None.
    """
    features = as_float32(features)
    same = pid[:, None] == pid[None, :]
    positive = same & ~jnp.eye(len(pid), dtype=bool)
    chosen_from = jax.lax.stop_gradient(features)
    norms = (chosen_from**2).sum(-1)
    inner = jnp.matmul(chosen_from, chosen_from.T, precision="highest")
    squared = norms[:, None] + norms[None, :] - 2 * inner
    farthest = jnp.where(positive, squared, -jnp.inf).argmax(-1)
    nearest = jnp.where(same, jnp.inf, squared).argmin(-1)

    gap = _distance(features, features[farthest]) - _distance(
        features, features[nearest]
    )
    loss = jax.nn.softplus(gap) if margin is None else jnp.maximum(gap + margin, 0)
    counted = positive.any(-1) & (~same).any(-1)
    return jnp.where(counted, loss, 0).sum() / jnp.maximum(counted.sum(), 1)


def _distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Euclidean distance over the last axis, with gradient 0 where it is 0."""
    squared = ((x - y) ** 2).sum(-1)
    apart = squared > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1)), 0)


def supervised_contrastive(
    embeddings: jax.Array, pid: jax.Array, temperature: float
) -> jax.Array:
    """Supervised contrastive loss (Khosla et al., NeurIPS 2020), positive by positive.

    For an anchor i and each other image p of the same person, with cosines s, it is

      -log(exp(s_ip / t) / (exp(s_ip / t) + sum over other persons n of exp(s_in / t)))

    averaged over p, then over the anchors that have both positives and negatives; 0
    without such anchors. Unlike in the paper, the denominator leaves out the other
    positives, so that easy positives do not compete with hard ones.

    Args:
      embeddings: [B, D], each of length 1.
      pid: integers [B], the persons.
      temperature: t, above 0.
    """
    embeddings = as_float32(embeddings)
    cosines = jnp.matmul(embeddings, embeddings.T, precision="highest") / temperature
    same = pid[:, None] == pid[None, :]
    positive = same & ~jnp.eye(len(pid), dtype=bool)
    # Not -inf: a sum over nobody would then have no finite gradient.
    others = jax.nn.logsumexp(jnp.where(same, -1e9, cosines), axis=-1, keepdims=True)
    loss = jnp.logaddexp(cosines, others) - cosines
    each = jnp.where(positive, loss, 0).sum(-1) / jnp.maximum(positive.sum(-1), 1)
    counted = positive.any(-1) & (~same).any(-1)
    return jnp.where(counted, each, 0).sum() / jnp.maximum(counted.sum(), 1)
