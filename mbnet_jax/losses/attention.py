"""The losses on FAM's attention."""

import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import known
from mbnet_jax.losses.arrays import as_float32, pool_area


def background_constraint(
    attention: jax.Array, foreground: jax.Array, form: str = "share"
) -> jax.Array:
    """The background constraint, the mean over the batch.

    With b the share of a position's pixels that lie on the background:

    "share" is the share of the attention that lies on the background, the sum of
    b * attention divided by the sum of the attention; 0 without any attention. Unlike
    the mean attention over the background, it cannot be lowered by attending to nothing
    at all. With it, attention on a final map gains nothing on synthetic test people
    (docs/evidence.md).

    "foreground", ours, is the binary cross-entropy of the attention against 1 - b. It
    also asks for attention on the person, and is smallest, though not 0, where the
    attention equals 1 - b.

    Args:
      attention: [B, h, w, 1] in [0, 1], FAM's spatial attention.
      foreground: [B, H, W], 1 on the person and 0 elsewhere, with H and W
        multiples of h and w.
      form: a name in `FORMS`.

    Raises:
      ValueError: if they are not, or the form is unknown.
    """
    person = pool_area(foreground, attention.shape[1:3])
    return known("form", form, FORMS)(as_float32(attention), person)


def _share(attention: jax.Array, person: jax.Array) -> jax.Array:
    total = attention.sum((1, 2, 3))
    outside = (attention * (1 - person)).sum((1, 2, 3))
    return jnp.where(total > 0, outside / jnp.where(total > 0, total, 1), 0).mean()


def _cross_entropy(attention: jax.Array, person: jax.Array) -> jax.Array:
    inside = jnp.clip(attention, _LEAST, 1 - _LEAST)
    return -(person * jnp.log(inside) + (1 - person) * jnp.log1p(-inside)).mean()


_LEAST = 1e-6  # beyond it the cross-entropy has no gradient

# `config.loss.background_form`
FORMS = {"share": _share, "foreground": _cross_entropy}
