"""KTM's losses: what the global branch learns from the clothing-unrelated one."""

import jax
import jax.numpy as jnp
import optax

from mbnet_jax.losses.arrays import as_float32, pool_area


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
    student = jax.nn.log_softmax(as_float32(student_logits) / temperature)
    teacher = jax.nn.log_softmax(
        jax.lax.stop_gradient(as_float32(teacher_logits)) / temperature
    )
    kl = (jnp.exp(teacher) * (teacher - student)).sum(-1)
    return temperature**2 * kl.mean()


def feature_distillation(student: jax.Array, teacher: jax.Array) -> jax.Array:
    """Distils the embedding: 1 - cosine, the mean over the batch; ours.

    FitNets distil a layer in this way (Romero et al., ICLR 2015). Their regressor is
    not needed, as both embeddings have the same size. For vectors of length 1, the loss
    is half of the squared distance. No gradient passes to the teacher.

    Args:
      student: [B, d], of length 1, the global branch's.
      teacher: [B, d], of length 1, the clothing-unrelated branch's.

    Raises:
      ValueError: if their sizes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"the student's embeddings have the shape {student.shape}, the teacher's "
            f"{teacher.shape}; only equal ones can be compared"
        )
    teacher = jax.lax.stop_gradient(as_float32(teacher))
    return 1 - (as_float32(student) * teacher).sum(-1).mean()


def similarity_distillation(student: jax.Array, teacher: jax.Array) -> jax.Array:
    """Distils the similarities between the images of a batch; ours.

    The mean squared difference between the two branches' cosines over all pairs of
    different images, after similarity-preserving distillation (Tung and Mori, ICCV
    2019). They scale each row of similarities to length 1; plain cosines also preserve
    how similar two images are. With a softmax over each row, images of other people
    would hardly count. The embeddings may differ in size. No gradient passes to the
    teacher.

    Args:
      student: [B, d], of length 1, the global branch's; B is at least 2.
      teacher: [B, d'], of length 1, the clothing-unrelated branch's.
    """
    teacher = jax.lax.stop_gradient(as_float32(teacher))
    gap = _cosines(as_float32(student)) - _cosines(teacher)
    images = len(gap)
    pairs = jnp.where(jnp.eye(images, dtype=bool), 0, gap)
    return (pairs**2).sum() / (images * (images - 1))


def _cosines(x: jax.Array) -> jax.Array:
    """The inner products of all rows [B, d] of length 1: [B, B]."""
    return jnp.matmul(x, x.T, precision="highest")


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
    return optax.sigmoid_binary_cross_entropy(as_float32(gate_logits), target).mean()
