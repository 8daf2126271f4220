"""Ranks of true matches by counting: compiled programs for blocks on a mesh.

The rank of a true match is one more than the number of kept gallery items that are
nearer to the query; of equal values, the lower gallery index is nearer. Counts of
gallery blocks add up, and so do those of devices. Items that a rule throws out
(junk) are counted with the others, and taken off in the end.

A match's value is read out of the very product that its block is counted in
(`product_and_find`), so that it ties with its own duplicates.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding

from mbnet_jax.retrieval.blocks import GalleryBlock
from mbnet_jax.retrieval.entries import CHUNK
from mbnet_jax.retrieval.placing import SHARDED, WHOLE, sharded
from mbnet_jax.retrieval.similarity import block_values, order_key

# The key of what is not found yet, below that of any value.
NOT_FOUND = np.int32(np.iinfo(np.int32).min)

SLOTS = 8  # matches of a query that are counted for at a time
TILE = 32  # gallery items within which ties are looked at one by one
_GROUP = 64  # queries, on a CPU


class Programs(NamedTuple):
    """Compiled for a mesh of n devices. B, G: rows of a query and a gallery block.

    A query's items have a slot each of S: its matches the first M, then its junk.
    Each device has its own `found_nxBxS`, the items' keys, and `count_nxBxM`, how many
    items are nearer than each match.
    """

    product_and_find: callable
    product_and_count: callable
    count: callable
    merge: callable
    ranks: callable


@functools.lru_cache
def programs(mesh: Mesh, metric: str) -> Programs:
    """The programs for a mesh and metric."""

    shard = functools.partial(sharded, mesh)

    def keys(query, gallery, scale, offset):
        return order_key(block_values(query, gallery, scale, offset, metric))

    def product_and_find(
        query, gallery, scale, offset, entries_1x3xE, found_1xBxS, count_1xBxM
    ):
        key_BxG = keys(query, gallery, scale, offset)
        found_BxS, count_BxM = _read_out(
            key_BxG, gallery, entries_1x3xE, found_1xBxS[0], count_1xBxM[0]
        )
        return key_BxG, found_BxS[None], count_BxM[None]

    def count(key_BxG, gallery, found_BxS, match_BxM, most, count_1xBxM):
        column_BxM = match_BxM - gallery.start_n
        found_BxM = found_BxS[:, : match_BxM.shape[1]]
        nearer_BxM = lax.platform_dependent(
            key_BxG, found_BxM, column_BxM, most, cpu=nearer_on_cpu, default=nearer
        )
        return count_1xBxM + nearer_BxM

    def product_and_count(
        query, gallery, scale, offset, found_BxS, match_BxM, most, count_1xBxM
    ):
        key_BxG = keys(query, gallery, scale, offset)
        return count(key_BxG, gallery, found_BxS, match_BxM, most, count_1xBxM)

    products = (WHOLE, SHARDED, WHOLE, SHARDED)
    whole = NamedSharding(mesh, WHOLE)
    return Programs(
        product_and_find=shard(
            product_and_find, (*products, SHARDED, SHARDED, SHARDED)
        ),
        product_and_count=shard(
            product_and_count, (*products, WHOLE, WHOLE, WHOLE, SHARDED)
        ),
        count=shard(count, (SHARDED, SHARDED, WHOLE, WHOLE, WHOLE, SHARDED)),
        merge=jax.jit(lambda found: jnp.max(found, axis=0), out_shardings=whole),
        ranks=jax.jit(_ranks, out_shardings=whole),
    )


def _read_out(key_BxG, gallery: GalleryBlock, entries_1x3xE, found_BxS, count_BxM):
    """Takes in a block's entries: their keys, and earlier items that tie with them.

    Of the latter only those in the entry's own tile, that `nearer` leaves out.
    """
    row_E, slot_E, index_E = entries_1x3xE[0]
    lane_L = jnp.arange(TILE)
    key_BxTxL = key_BxG.reshape(len(key_BxG), -1, TILE)

    def chunk(number, taken):
        found_BxS, count_BxM = taken
        row, slot, index = (
            lax.dynamic_slice_in_dim(part, number * CHUNK, CHUNK)[:, None]
            for part in (row_E, slot_E, index_E)
        )
        column = index - gallery.start_n
        tile_CxL = key_BxTxL.at[row[:, 0], column[:, 0] // TILE].get(mode="clip")
        place = column % TILE
        key_C = jnp.take_along_axis(tile_CxL, place, axis=1)
        tied_CxL = (tile_CxL == key_C) & (lane_L < place)
        return (
            found_BxS.at[row[:, 0], slot[:, 0]].set(key_C[:, 0], mode="drop"),
            # Junk has no column here, and is dropped.
            count_BxM.at[row[:, 0], slot[:, 0]].add(
                jnp.sum(tied_CxL, axis=1), mode="drop"
            ),
        )

    chunks = -(-jnp.sum(row_E < len(key_BxG)) // CHUNK)
    return lax.fori_loop(0, chunks, chunk, (found_BxS, count_BxM))


def nearer(key_BxG, found_BxM, column_BxM, most):
    """Items of a block that precede each match, but for those that tie in its tile.

    Args:
      key_BxG: int32, the block's keys.
      found_BxM: int32, the matches' keys.
      column_BxM: int32, the matches' columns; those of other blocks are outside.
      most: int32 [groups of rows], how many matches of a group are to be looked at.

    Returns:
      int32 [B, M].
    """
    return _by_slots(key_BxG, found_BxM, column_BxM, jnp.max(most), _sum_along_rows)


def nearer_on_cpu(key_BxG, found_BxM, column_BxM, most):
    """`nearer`, for vector units and caches: groups of rows one after the other."""

    def grouped(rows):
        return rows.reshape(len(most), -1, rows.shape[1])

    counts = lax.map(
        lambda group: _by_slots(*group, _sum_by_tiles),
        (grouped(key_BxG), grouped(found_BxM), grouped(column_BxM), most),
    )
    return counts.reshape(found_BxM.shape)


def _by_slots(key_BxG, found_BxM, column_BxM, most, sum_of):
    def some(number, count_BxM):
        place = number * SLOTS
        found_Bx8, column_Bx8 = (
            lax.dynamic_slice_in_dim(part, place, SLOTS, axis=1)
            for part in (found_BxM, column_BxM)
        )
        count_Bx8 = sum_of(key_BxG, found_Bx8[:, :, None], column_Bx8[:, :, None])
        return lax.dynamic_update_slice_in_dim(count_BxM, count_Bx8, place, axis=1)

    nothing_BxM = jnp.zeros(found_BxM.shape, jnp.int32)
    return lax.fori_loop(0, (most + SLOTS - 1) // SLOTS, some, nothing_BxM)


def _sum_along_rows(key_BxG, found_Bx8x1, column_Bx8x1):
    tile_end_G = (jnp.arange(key_BxG.shape[1]) // TILE + 1) * TILE
    # Up to the match's own tile, items as near are nearer: they are earlier.
    nearer_Bx8xG = key_BxG[:, None, :] > found_Bx8x1 - (column_Bx8x1 >= tile_end_G)
    return jnp.sum(nearer_Bx8xG, axis=2, dtype=jnp.int32)


def _sum_by_tiles(key_BxG, found_Bx8x1, column_Bx8x1):
    """Adds tiles side by side: a sum along a row leaves vector units unused."""
    lanes_Bx8xL = jnp.zeros((*found_Bx8x1.shape[:2], TILE), jnp.int32)
    for start in range(0, key_BxG.shape[1], TILE):
        tile_Bx1xL = key_BxG[:, None, start : start + TILE]
        lanes_Bx8xL += tile_Bx1xL > found_Bx8x1 - (column_Bx8x1 >= start + TILE)
    # Fused with the next sum, this one would be done along rows after all.
    return jnp.sum(lax.optimization_barrier(lanes_Bx8xL), axis=2)


def group_sizes(counts: np.ndarray, block_rows: int) -> np.ndarray:
    """The greatest of the counts [n <= B] in each group of rows, int32 [groups]."""
    counts = np.pad(counts, (0, block_rows - len(counts)))
    return counts.reshape(-1, min(block_rows, _GROUP)).max(axis=1).astype(np.int32)


def _ranks(count_nxBxM, found_BxS, match_BxM, junk_BxJ, most_junk):
    """The rank of each match, int32 [B, M]; undefined in padding."""
    width = match_BxM.shape[1]
    found_BxM = found_BxS[:, :width]

    def less_junk(slot, rank_BxM):
        junk_Bx1 = lax.dynamic_slice_in_dim(junk_BxJ, slot, 1, axis=1)
        key_Bx1 = lax.dynamic_slice_in_dim(found_BxS, width + slot, 1, axis=1)
        earlier_BxM = junk_Bx1 < match_BxM
        return rank_BxM - (key_Bx1 > found_BxM - earlier_BxM)

    rank_BxM = 1 + jnp.sum(count_nxBxM, axis=0)
    return lax.fori_loop(0, most_junk, less_junk, rank_BxM)
