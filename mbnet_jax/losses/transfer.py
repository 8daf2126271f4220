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
