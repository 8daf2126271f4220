"""Does what passes.py does, for the vector units and caches of a CPU.

Entries are read one by one, and a block is counted group by group of its queries.
"""

import jax
import jax.numpy as jnp
from jax import lax

from mbnet_jax.retrieval.similarity import GalleryBlock

SLOTS = 8  # matches of a query that are counted at a time
TILE = 32  # gallery items within which ties are compared by index
CHUNK = 1024  # entries read at a time


def arranged(key_BxG: jax.Array) -> jax.Array:
    """Returns the keys of a block as they are kept: [B, G]."""
    return key_BxG


def read(key_BxG, gallery: GalleryBlock, entries_1x3xE, found_BxS, count_BxM):
    """Reads the keys of a block's entries, and counts ties within their tiles.

    As `passes.read`, but takes what `counting.EntryTable.entries` returns.
    """
    row_E, slot_E, index_E = entries_1x3xE[0]
    lane_L = jnp.arange(TILE)
    key_BxTxL = key_BxG.reshape(len(key_BxG), -1, TILE)

    def chunk(number, so_far):
        found_BxS, count_BxM = so_far
        row, slot, index = (
            lax.dynamic_slice_in_dim(part, number * CHUNK, CHUNK)[:, None]
            for part in (row_E, slot_E, index_E)
        )
        column = index - gallery.first_n
        tile_CxL = key_BxTxL.at[row[:, 0], column[:, 0] // TILE].get(mode="clip")
        lane = column % TILE
        key_C = jnp.take_along_axis(tile_CxL, lane, axis=1)
        tied_CxL = (tile_CxL == key_C) & (lane_L < lane)
        return (
            found_BxS.at[row[:, 0], slot[:, 0]].set(key_C[:, 0], mode="drop"),
            # The slots of junk are past the columns of `count_BxM`: dropped.
            count_BxM.at[row[:, 0], slot[:, 0]].add(
                jnp.sum(tied_CxL, axis=1), mode="drop"
            ),
        )

    chunks = -(-jnp.sum(row_E < len(key_BxG)) // CHUNK)
    return lax.fori_loop(0, chunks, chunk, (found_BxS, count_BxM))


def nearer(key_BxG, found_BxM, column_BxM, group_max):
    """Does what `passes.nearer` does; each group of rows has its own maximum."""

    def grouped(rows):
        return rows.reshape(len(group_max), -1, rows.shape[1])

    counts = lax.map(
        lambda group: _nearer_in_group(*group),
        (grouped(key_BxG), grouped(found_BxM), grouped(column_BxM), group_max),
    )
    return counts.reshape(found_BxM.shape)


def _nearer_in_group(key_BxG, found_BxM, column_BxM, most):
    def some(number, count_BxM):
        start = number * SLOTS
        found_Bx8, column_Bx8 = (
            lax.dynamic_slice_in_dim(part, start, SLOTS, axis=1)
            for part in (found_BxM, column_BxM)
        )
        count_Bx8 = _sum_by_tiles(
            key_BxG, found_Bx8[:, :, None], column_Bx8[:, :, None]
        )
        return lax.dynamic_update_slice_in_dim(count_BxM, count_Bx8, start, axis=1)

    zero_BxM = jnp.zeros(found_BxM.shape, jnp.int32)
    return lax.fori_loop(0, (most + SLOTS - 1) // SLOTS, some, zero_BxM)


def _sum_by_tiles(key_BxG, found_Bx8x1, column_Bx8x1):
    """Sums over tiles, lane by lane: a sum along a row leaves vector units idle."""
    lanes_Bx8xL = jnp.zeros((*found_Bx8x1.shape[:2], TILE), jnp.int32)
    for start in range(0, key_BxG.shape[1], TILE):
        tile_Bx1xL = key_BxG[:, None, start : start + TILE]
        lanes_Bx8xL += tile_Bx1xL > found_Bx8x1 - (column_Bx8x1 >= start + TILE)
    # Fused with the next sum, this one would run along rows after all.
    return jnp.sum(lax.optimization_barrier(lanes_Bx8xL), axis=2)
