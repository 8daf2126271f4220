"""The loss of the predicted parsing map."""

import jax
import jax.numpy as jnp

from mbnet_jax.losses.arrays import as_float32, pool_area


def parsing_cross_entropy(logits: jax.Array, parsing: jax.Array) -> jax.Array:
    """Cross-entropy of predicted parsing maps, the mean over all cells of the batch.

    The target of a cell is the share of its pixels that each label has, so that edges
    finer than the cells count too. Where the image has no equal cells, the logits are
    enlarged to its size first, bilinearly.

    Args:
      logits: [B, h, w, labels].
      parsing: uint8 [B, H, W], canonical labels.
    """
    logits = as_float32(logits)
    (_, height, width), (h, w) = parsing.shape, logits.shape[1:3]
    if height % h or width % w:
        shape = (*parsing.shape, logits.shape[-1])
        logits = jax.image.resize(logits, shape, "bilinear")
    shares = jnp.concatenate(
        [
            pool_area(parsing == label, logits.shape[1:3])
            for label in range(logits.shape[-1])
        ],
        axis=-1,
    )
    return -(shares * jax.nn.log_softmax(logits)).sum(-1).mean()
