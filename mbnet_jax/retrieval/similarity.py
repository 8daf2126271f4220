"""Blocks of features, and the values by which one block ranks another.

A value is greater the nearer the item: by cosine it is the similarity, by Euclidean
distance the negated square, with re-ranking the negated re-ranked distance.

Axes: B queries of a block, G gallery rows of a block on each of n devices, D features.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class QueryBlock(NamedTuple):
    """B queries, whole on every device."""

    rows_BxD: jax.Array
    norm_B: jax.Array  # float32, L2


class GalleryBlock(NamedTuple):
    """G gallery rows on each of n devices.

    `bounds_nx3` has the gallery indices first, fresh and stop of each device's block:
    its rows start at `first`, and those from `fresh` to `stop` belong to this block.
    The other rows belong to another block, or are padding.
    """

    rows_nGxD: jax.Array
    norm_nG: jax.Array  # float32, L2
    bounds_nx3: jax.Array  # int32

    @property
    def first_n(self) -> jax.Array:
        """Gallery index of the first row."""
        return self.bounds_nx3[:, 0]

    def columns(self, index: jax.Array) -> jax.Array:
        """Columns of gallery indices on one device; G and above outside the block.

        JAX can drop such a column, but would count a negative one from the end.
        """
        column = index - self.first_n
        return jnp.where(column < 0, len(self.norm_nG), column)


@jax.jit
def norms(rows_BxD: jax.Array) -> jax.Array:
    """L2 norms of the rows, float32 [B]."""
    return jnp.sqrt(jnp.sum(rows_BxD * rows_BxD, axis=1))


def block_values(
    query: QueryBlock,
    gallery: GalleryBlock,
    scale_B: jax.Array | None,
    offset_1xBxG: jax.Array | None,
    metric: str,
) -> jax.Array:
    """Computes the values of a gallery block for a query block, on one device.

    Args:
      query: B queries.
      gallery: this device's G rows.
      scale_B: with `offset_1xBxG`, values are
        -(squared distance * scale) + offset; None without re-ranking.
      offset_1xBxG: see `scale_B`.
      metric: "cosine" or "euclidean".

    Returns:
      float32 [B, G]; -inf for rows that do not belong to the block.
    """
    product_BxG = lax.dot_general(
        query.rows_BxD,
        gallery.rows_nGxD,
        (((1,), (1,)), ((), ())),
        # The default on GPU and TPU is not float32.
        precision=lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )
    norm_Bx1, norm_G = query.norm_B[:, None], gallery.norm_nG
    if metric == "cosine":
        # Divides the product: a normalised copy of the gallery costs time and memory.
        norm_BxG = norm_Bx1 * norm_G
        value_BxG = product_BxG / jnp.where(norm_BxG > 0, norm_BxG, 1)
    else:
        value_BxG = 2 * product_BxG - norm_G * norm_G - norm_Bx1 * norm_Bx1
    if offset_1xBxG is not None:
        if metric == "cosine":
            value_BxG = 2 * value_BxG - 2  # -(squared distance of the unit rows)
        value_BxG = value_BxG * scale_B[:, None] + offset_1xBxG[0]
    # In the order of bits -0 and 0 would differ; they must tie.
    value_BxG = jnp.where(value_BxG == 0, 0.0, value_BxG)
    index_G = gallery.first_n + jnp.arange(len(norm_G))
    _, fresh, stop = gallery.bounds_nx3[0]
    own_G = (index_G >= fresh) & (index_G < stop)
    return jnp.where(own_G, value_BxG, -jnp.inf)


def order_key(value: jax.Array) -> jax.Array:
    """Returns int32 keys that are ordered as the float32 values, without NaN or -0.

    With integers, "nearer, or as near and earlier" is a single comparison.
    """
    bits = lax.bitcast_convert_type(value, jnp.int32)
    return jnp.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
