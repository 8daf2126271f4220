"""The losses of the predicted parsing map."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.losses.arrays import as_float32, pool_area
from mbnet_jax.models.modules.part_edges import PartEdges
from mbnet_jax.parsing.labels import CROPPED
from mbnet_jax.views import box_of, exists, has_label

_LEAST = 1e-6  # of a probability whose logarithm is taken


def parsing_cross_entropy(logits: jax.Array, parsing: jax.Array) -> jax.Array:
    """Cross-entropy of predicted parsing maps, the mean over all cells of the batch.

    The target of a cell is the share of its pixels that each label has, so that edges
    finer than the cells count too. Where the image has no equal cells, the logits are
    enlarged to its size first, bilinearly.

    Args:
      logits: [B, h, w, labels].
      parsing: uint8 [B, H, W], canonical labels.
    """
    logits, shares = _cells(logits, parsing)
    return -(shares * jax.nn.log_softmax(logits)).sum(-1).mean()


def part_extents(logits: jax.Array, parsing: jax.Array) -> jax.Array:
    """Binary cross-entropy of the rows and columns that head and legs reach; ours.

    The boxes of both crops end where their parts do, and a wrong end costs more
    than many wrong labels inside: a ponytail of few pixels sets the scale of the whole
    head. A row has a part with the greatest probability among its cells, and should
    have it if the part covers half of a cell. The mean over rows, over columns, and
    over both parts. Logits are enlarged as in `parsing_cross_entropy`.

    Args:
      logits: [B, h, w, labels].
      parsing: uint8 [B, H, W], canonical labels.
    """
    logits, shares = _cells(logits, parsing)
    probabilities = jax.nn.softmax(logits)
    losses = []
    for part in CROPPED:
        found = probabilities[..., part].sum(-1)
        wanted = shares[..., part].sum(-1) >= 0.5
        for axis in (1, 2):
            has = found.max(axis).clip(_LEAST, 1 - _LEAST)
            right = jnp.where(wanted.any(axis), has, 1 - has)
            losses.append(-jnp.log(right).mean())
    return sum(losses) / len(losses)


def part_edges(edges: PartEdges, parsing: jax.Array) -> jax.Array:
    """Cross-entropy of the cells where the boxes of head and legs end; ours.

    An edge between the middles of two cells is shared by both. The mean over images,
    parts and the four edges of each; a part that the map lacks adds 0.

    Args:
      edges: of the network.
      parsing: uint8 [B, H, W], canonical labels.
    """
    total, count = 0.0, 0
    for number, part in enumerate(CROPPED):
        has = has_label(parsing, part)
        boxes, there = jax.vmap(box_of)(has), jax.vmap(exists)(has)
        for first, logits in enumerate((edges.rows, edges.columns)):
            cells, size = logits.shape[-1], parsing.shape[1 + first]
            at = boxes[:, first::2, None] * (cells / size) - 0.5
            away = jnp.abs(at.clip(0, cells - 1) - jnp.arange(cells))
            scores = jax.nn.log_softmax(as_float32(logits[:, number]))
            losses = -(nn.relu(1 - away) * scores).sum(-1)
            total += (losses * there[:, None]).sum()
            count += losses.size
    return total / count


def _cells(logits: jax.Array, parsing: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The logits in float32, and each label's share of each cell, both [B, h, w, n]."""
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
    return logits, shares
