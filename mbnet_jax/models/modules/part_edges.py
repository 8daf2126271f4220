"""Where the parts that are cropped begin and end, apart from the map of labels; ours.

A crop's box ends where its part does. Read from a map of likeliest labels, an end
depends on a few pixels, and on the thin tip of long hair another label is often
likelier. Here each edge has a distribution over rows or columns, whose median is taken:
it has the least expected error.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import struct

from mbnet_jax.parsing.labels import CROPPED, NUM_LABELS

# The share of a part's pixels that is marked on either side of the likeliest one on its
# edge: more than the strays that the boxes of crops leave out, even at a row's end.
_MARKED = 0.015


@struct.dataclass
class PartEdges:
    """The logits of the cells in which the edges of parts lie.

    The last axis runs over equal cells of the image's height or width. The axes before
    it are the parts, in the order of `labels.CROPPED`, and the first and the last edge.

    Attributes:
      rows: float32 [B, parts, 2, h].
      columns: float32 [B, parts, 2, w].
    """

    rows: jax.Array
    columns: jax.Array


def median_edges(logits: jax.Array, size: int) -> jax.Array:
    """The median of each distribution [..., n] over n equal cells of `size` pixels.

    Float32 [...], in pixels; the distribution is even within a cell.
    """
    shares = jax.nn.softmax(logits)
    ends = jnp.cumsum(shares, axis=-1)
    # How much of each cell lies before the median. Not a search, which would not
    # export to ONNX.
    before = ((0.5 - (ends - shares)) / jnp.maximum(shares, 1e-9)).clip(0, 1)
    return before.sum(-1) * (size / logits.shape[-1])


def with_edges(logits: jax.Array, edges: PartEdges) -> jax.Array:
    """The likeliest label of each pixel, uint8 [B, H, W], with the parts' edges.

    Outside of its edges a part has no pixel: the likeliest label of the parts that are
    not cropped takes its place. On each of its four edges it has at least the likeliest
    pixel and those beside it, so that the crop's box reaches there.
    A part without a pixel stays without.

    Args:
      logits: float32 [B, H, W, NUM_LABELS].
      edges: their logits.
    """
    _, height, width, _ = logits.shape
    likeliest = logits.argmax(-1)
    rest = _only(logits, sorted({*range(NUM_LABELS)}.difference(*CROPPED)))
    found = likeliest
    for number, part in enumerate(CROPPED):
        has = jnp.isin(likeliest, jnp.array(part))
        count = has.sum((1, 2), keepdims=True)
        down = _pixels(edges.rows[:, number], height)[:, :, None]
        right = _pixels(edges.columns[:, number], width)[:, None]
        inside = (down > 0) & (right > 0)
        own = _only(logits, part)
        # For all rows and columns, though only those on an edge are marked.
        lead = jnp.where(inside, own.max(-1) - logits.max(-1), -jnp.inf)
        marked = (down > 1) & _beside(lead.argmax(2)[:, :, None], width, count, 2)
        marked |= (right > 1) & _beside(lead.argmax(1)[:, None], height, count, 1)
        changed = jnp.where(marked, own.argmax(-1), found)
        changed = jnp.where(inside, changed, rest.argmax(-1))
        changed = jnp.where(inside | has, changed, found)
        found = jnp.where(count > 0, changed, found)
    return found.astype(jnp.uint8)


def _only(logits: jax.Array, labels: Sequence[int]) -> jax.Array:
    """The logits of these labels, and minus infinity in place of the others."""
    wanted = jnp.isin(jnp.arange(NUM_LABELS), jnp.array(labels))
    return jnp.where(wanted, logits, -jnp.inf)


def _pixels(edges: jax.Array, size: int) -> jax.Array:
    """For `size` pixels, int [B, size]: 0 outside both edges, 1 inside, 2 on an edge.

    Args:
      edges: logits [B, 2, n].
    """
    first, last = jnp.moveaxis(jnp.round(median_edges(edges, size)), -1, 0)
    first = first.clip(0, size - 1)[:, None]
    last = jnp.maximum(last[:, None], first + 1)
    at = jnp.arange(size)
    inside = (first <= at) & (at < last)
    on = (at == first) | (at == last - 1)
    return inside * (1 + on.astype(int))


def _beside(place: jax.Array, size: int, count: jax.Array, axis: int) -> jax.Array:
    """Whether pixels along an axis of `size` lie beside `place`."""
    at = jnp.arange(size).reshape([size if axis == k else 1 for k in range(3)])
    return jnp.abs(at - place) <= jnp.ceil(_MARKED * count)
