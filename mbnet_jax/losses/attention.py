"""The loss on FAM's attention."""

import jax
import jax.numpy as jnp

from mbnet_jax.losses.arrays import as_float32, pool_area


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
    attention = as_float32(attention)
    total = attention.sum((1, 2, 3))
    outside = (attention * background).sum((1, 2, 3))
    return jnp.where(total > 0, outside / jnp.where(total > 0, total, 1), 0).mean()
