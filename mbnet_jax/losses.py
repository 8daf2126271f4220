"""The losses: plain functions of arrays, and `total`, their weighted sum.

Each returns a float32 scalar, a mean over the whole (global) batch. Inputs of lower
precision are converted to float32 first.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from mbnet_jax.models import BRANCHES, Outputs
from mbnet_jax.views import Targets


class Clothes(NamedTuple):
    """What CAL's losses need to know of a batch's clothes.

    label: int32 [B], the class of each image's outfit; below 0 where it is unknown:
      such images are left out of both losses.
    same_person: bool [B, num_clothes], whether a class belongs to the image's person.
    started: float32 scalar, 1 from the start epoch on, 0 before.
    """

    label: jax.Array
    same_person: jax.Array
    started: jax.Array


def total(
    outputs: Outputs,
    targets: Targets,
    pid: jax.Array,
    config: ConfigDict,
    clothes: Clothes | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The training loss: every term whose branch and module are on, times its weight.

    Args:
      outputs: the network's, of a batch of B.
      targets: the batch's, from its parsing maps.
      pid: int32 [B], the class of each person.
      config: `config.loss`; a weight of 0 leaves its term out.
      clothes: the batch's, for CAL's terms; None leaves them out.

    Returns:
      The loss, and scalars to log: "loss", each term without its weight, and each
      branch's accuracy.
    """
    margin, combined = config.margin or None, outputs.combined
    terms = []  # (name, weight, loss, its arguments)
    for branch, logits in outputs.logits.items():
        smoothed = (logits, pid, config.label_smoothing)
        hard = (outputs.features[branch], pid, margin)
        terms += [
            (f"identity/{branch}", config.identity, cross_entropy, smoothed),
            (f"triplet/{branch}", config.triplet, batch_hard_triplet, hard),
        ]
    if outputs.gate_logits is not None:
        gated = (outputs.gate_logits, targets.area)
        terms.append(("ktm_area", config.ktm_area, gate_area, gated))
        for student, logits in outputs.logits.items():
            teacher = BRANCHES[student].partner
            if BRANCHES[student].module == "ktm" and teacher in outputs.logits:
                taught = (logits, outputs.logits[teacher], config.ktm_temperature)
                terms.append(("ktm_distill", config.ktm_distill, distillation, taught))
    if outputs.attention is not None:
        seen = (outputs.attention, targets.foreground)
        terms.append(("background", config.background, background_constraint, seen))
    if outputs.balance is not None:
        terms.append(
            ("balance", config.balance, batch_hard_triplet, (combined, pid, None))
        )
    if clothes is not None:
        temperature = config.cal_temperature
        # No field for the weight of "clothes": it alone trains the clothes classifier,
        # and Adam is invariant to the scale of a gradient.
        worn = (outputs.clothes, clothes.label, temperature)
        confused = (outputs.adversarial, *clothes[:2], temperature, config.cal_epsilon)
        terms += [
            ("clothes", 1.0, clothes_classification, worn),
            ("cal", config.cal, clothes_adversarial, confused),
        ]

    terms = [term for term in terms if term[1]]
    values = {name: loss(*arguments) for name, _, loss, arguments in terms}
    weights = {name: weight for name, weight, *_ in terms}
    if "cal" in weights:
        weights["cal"] *= clothes.started
    loss = sum(weights[name] * value for name, value in values.items())
    accuracy = {
        f"accuracy/{branch}": jnp.mean(logits.argmax(-1) == pid)
        for branch, logits in outputs.logits.items()
    }
    return loss, {"loss": loss, **values, **accuracy}


def _f32(x: jax.Array) -> jax.Array:
    return jnp.asarray(x, jnp.float32)


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
    logits = _f32(logits)
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
    features = _f32(features)
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


def distillation(
    student_logits: jax.Array, teacher_logits: jax.Array, temperature: float
) -> jax.Array:
    """KTM's first term: knowledge distillation (Hinton et al., 2015).

    T^2 * KL(softmax(teacher / T) || softmax(student / T)), the mean over the batch;
    T^2 keeps the size of the gradient. No gradient passes to the teacher.

    Args:
      student_logits: [B, C], the global branch's.
      teacher_logits: [B, C], the clothing-unrelated branch's.
      temperature: T, above 0.
    """
    student = jax.nn.log_softmax(_f32(student_logits) / temperature)
    teacher = jax.nn.log_softmax(
        jax.lax.stop_gradient(_f32(teacher_logits)) / temperature
    )
    kl = (jnp.exp(teacher) * (teacher - student)).sum(-1)
    return temperature**2 * kl.mean()


def gate_area(gate_logits: jax.Array, area: jax.Array) -> jax.Array:
    """KTM's second term: binary cross-entropy of the gate against an area.

    The target of a position is the share of its pixels that lie in the area, so
    the loss is least, yet above 0, where gate and share agree.

    Args:
      gate_logits: [B, h, w, 1]; the gate is their sigmoid.
      area: [B, H, W], 1 in the clothing-unrelated area and 0 elsewhere, with H and
        W multiples of h and w.

    Raises:
      ValueError: if they are not.
    """
    target = pool_area(area, gate_logits.shape[1:3])
    return optax.sigmoid_binary_cross_entropy(_f32(gate_logits), target).mean()


def background_constraint(attention: jax.Array, foreground: jax.Array) -> jax.Array:
    """The share of an attention that lies on the background, the mean over the batch.

    A position counts by the share b of its pixels that are background: the sum of
    b * attention over that of the attention; 0 where there is no attention. Unlike the
    mean over the background, it cannot be lowered by attending to nothing at all. On
    synthetic people the attention still lies on the background more than on the
    person, and the constraint gains nothing on test people (docs/evidence.md).

    Args:
      attention: [B, h, w, 1] in [0, 1], FAM's spatial attention.
      foreground: [B, H, W], 1 on the person and 0 elsewhere, with H and W
        multiples of h and w.

    Raises:
      ValueError: if they are not.
    """
    background = 1 - pool_area(foreground, attention.shape[1:3])
    attention = _f32(attention)
    total = attention.sum((1, 2, 3))
    outside = (attention * background).sum((1, 2, 3))
    return jnp.where(total > 0, outside / jnp.where(total > 0, total, 1), 0).mean()


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
    each = optax.softmax_cross_entropy(_f32(cosines) / temperature, worn)
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
    images of known clothes. Of a person with K classes each weighs epsilon / K, and the
    one that is worn 1 - epsilon more: epsilon is how much the features are to confuse
    them.

    Args:
      cosines: [B, C], of each image with each class of clothes.
      clothes: integers [B], 0 to C - 1, of each image; below 0 where it is unknown.
      same_person: bool [B, C], whether a class is of the image's person.
      temperature: above 0.
      epsilon: 0 to 1.
    """
    logits = _f32(cosines) / temperature
    others = jnp.where(same_person, -jnp.inf, logits)
    others = jax.nn.logsumexp(others, axis=-1, keepdims=True)
    log_p = logits - jnp.logaddexp(logits, others)
    shared = same_person / jnp.maximum(same_person.sum(-1, keepdims=True), 1)
    worn = jax.nn.one_hot(clothes, logits.shape[-1], dtype=jnp.float32)
    target = (1 - epsilon) * worn + epsilon * shared
    return _mean_where(-(target * log_p).sum(-1), clothes >= 0)


def pool_area(area: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Averages an area [B, H, W] over equal cells: [B, h, w, 1], float32.

    Raises:
      ValueError: if H and W are not multiples of `size`, (h, w).
    """
    (batch, height, width), (h, w) = area.shape, size
    if height % h or width % w:
        raise ValueError(
            f"an area of {height}x{width} pixels has no equal cells on a map of "
            f"{h}x{w}; choose an image size that is a multiple of the map's"
        )
    # Rows first: a TPU lays out five axes at once badly.
    rows = _f32(area).reshape(batch, h, height // h, width).mean(2)
    return rows.reshape(batch, h, w, width // w).mean(3)[..., None]
