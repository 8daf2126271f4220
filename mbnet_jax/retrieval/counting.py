"""Ranks of true matches by counting: compiled programs for blocks on a mesh.

The rank of a true match is one more than the number of kept gallery items that are
nearer to the query; of equal values, the lower gallery index is nearer. Counts add up
over gallery blocks and over devices. Junk is counted with the rest, and subtracted at
the end.

The value of a match is read from the very product in which its block is counted
(`product_and_find`), so that a match ties with its own duplicates.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding

from mbnet_jax.retrieval.blocks import SHARDED, WHOLE, power_of_two, put, sharded
from mbnet_jax.retrieval.similarity import GalleryBlock, block_values, order_key

# The key of an item not yet found, below the key of any value.
NOT_FOUND = np.int32(np.iinfo(np.int32).min)

SLOTS = 8  # matches of a query that are counted at a time
TILE = 32  # gallery items within which ties are compared by index
_CHUNK = 1024  # entries read at a time
_GROUP = 64  # queries counted at a time, on a CPU


class EntryTable:
    """The items of B queries whose keys are read, by gallery block.

    An entry is an item of one query: a true match or junk.
    """

    def __init__(self, index_BxS: np.ndarray, bounds: list[np.ndarray]):
        """Takes gallery indices, -1 in empty slots, and `Gallery.bounds`."""
        self.shape = index_BxS.shape
        self._num_devices = len(bounds[0])
        row, slot = np.nonzero(index_BxS >= 0)
        index = index_BxS[row, slot]
        _, fresh, stop = np.concatenate(bounds).T
        # An empty block sorts before the block that starts at the same index.
        ascending = np.lexsort((stop, fresh))
        position = np.searchsorted(fresh[ascending], index, side="right") - 1
        block = ascending[position].astype(np.min_scalar_type(len(fresh)))
        order = np.argsort(block, kind="stable")
        self._entries = np.stack([row, slot, index])[:, order].astype(np.int32)
        self._counts = np.bincount(block, minlength=len(fresh))
        self._stops = np.cumsum(self._counts)

    def is_empty(self, step: int) -> bool:
        """Returns whether no device's block of a step has entries."""
        return not self._counts[self._blocks(step)].any()

    def capacity(self) -> int:
        """Returns a number of entries that is enough for any block."""
        return power_of_two(int(self._counts.max()), _CHUNK)

    def entries(self, step: int, mesh: Mesh, capacity: int) -> jax.Array:
        """Returns the entries of each device's block, int32 [n, 3, capacity].

        Rows are the query's index in its block (B in padding), the item's slot, and
        its gallery index.
        """
        entries_nx3xE = np.zeros((self._num_devices, 3, capacity), np.int32)
        entries_nx3xE[:, 0] = self.shape[0]
        blocks = self._blocks(step)
        parts = zip(self._counts[blocks], self._stops[blocks], strict=True)
        for lane, (count, stop) in enumerate(parts):
            entries_nx3xE[lane, :, :count] = self._entries[:, stop - count : stop]
        return put(entries_nx3xE, mesh, SHARDED)

    def _blocks(self, step: int) -> slice:
        return slice(step * self._num_devices, (step + 1) * self._num_devices)


class Programs(NamedTuple):
    """Compiled for a mesh of n devices. B, G: rows of a query and a gallery block.

    Each item of a query has one of S slots: its matches the first M, then its junk.
    Each device has its own `found_nxBxS`, the items' keys, and `count_nxBxM`, how many
    items are nearer than each match.
    """

    product_and_find: Callable
    product_and_count: Callable
    count: Callable
    merge: Callable
    ranks: Callable


@functools.lru_cache
def programs(mesh: Mesh, metric: str) -> Programs:
    """Returns the programs for a mesh and metric."""
    shard = functools.partial(sharded, mesh)

    def keys(query, gallery, scale, offset):
        return order_key(block_values(query, gallery, scale, offset, metric))

    def product_and_find(
        query, gallery, scale, offset, entries_1x3xE, found_1xBxS, count_1xBxM
    ):
        key_BxG = keys(query, gallery, scale, offset)
        found_BxS, count_BxM = _read(
            key_BxG, gallery, entries_1x3xE, found_1xBxS[0], count_1xBxM[0]
        )
        return key_BxG, found_BxS[None], count_BxM[None]

    def count(key_BxG, gallery, found_BxS, match_BxM, group_max, count_1xBxM):
        column_BxM = match_BxM - gallery.first_n
        found_BxM = found_BxS[:, : match_BxM.shape[1]]
        nearer_BxM = lax.platform_dependent(
            key_BxG, found_BxM, column_BxM, group_max, cpu=nearer_on_cpu, default=nearer
        )
        return count_1xBxM + nearer_BxM

    def product_and_count(
        query, gallery, scale, offset, found_BxS, match_BxM, group_max, count_1xBxM
    ):
        key_BxG = keys(query, gallery, scale, offset)
        return count(key_BxG, gallery, found_BxS, match_BxM, group_max, count_1xBxM)

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


def _read(key_BxG, gallery: GalleryBlock, entries_1x3xE, found_BxS, count_BxM):
    """Reads the keys of a block's entries, and counts earlier items that tie with them.

    Counts ties in an entry's own tile only; `nearer` counts those in earlier tiles.
    """
    row_E, slot_E, index_E = entries_1x3xE[0]
    lane_L = jnp.arange(TILE)
    key_BxTxL = key_BxG.reshape(len(key_BxG), -1, TILE)

    def chunk(number, so_far):
        found_BxS, count_BxM = so_far
        row, slot, index = (
            lax.dynamic_slice_in_dim(part, number * _CHUNK, _CHUNK)[:, None]
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

    chunks = -(-jnp.sum(row_E < len(key_BxG)) // _CHUNK)
    return lax.fori_loop(0, chunks, chunk, (found_BxS, count_BxM))


def nearer(key_BxG, found_BxM, column_BxM, group_max):
    """Counts a block's items that precede each match, except ties in its own tile.

    Args:
      key_BxG: int32, the block's keys.
      found_BxM: int32, the matches' keys.
      column_BxM: int32, the matches' columns; outside 0..G-1 for other blocks.
      group_max: int32 [groups of rows], see `group_maxima`.

    Returns:
      int32 [B, M]. Past a group's maximum, rounded up to `SLOTS`, it is undefined.
    """
    most = jnp.max(group_max)
    return _by_slots(key_BxG, found_BxM, column_BxM, most, _sum_along_rows)


def nearer_on_cpu(key_BxG, found_BxM, column_BxM, group_max):
    """Computes `nearer` group by group of rows, for vector units and caches."""

    def grouped(rows):
        return rows.reshape(len(group_max), -1, rows.shape[1])

    counts = lax.map(
        lambda group: _by_slots(*group, _sum_by_tiles),
        (grouped(key_BxG), grouped(found_BxM), grouped(column_BxM), group_max),
    )
    return counts.reshape(found_BxM.shape)


def _by_slots(key_BxG, found_BxM, column_BxM, most, sum_of):
    def some(number, count_BxM):
        start = number * SLOTS
        found_Bx8, column_Bx8 = (
            lax.dynamic_slice_in_dim(part, start, SLOTS, axis=1)
            for part in (found_BxM, column_BxM)
        )
        count_Bx8 = sum_of(key_BxG, found_Bx8[:, :, None], column_Bx8[:, :, None])
        return lax.dynamic_update_slice_in_dim(count_BxM, count_Bx8, start, axis=1)

    zero_BxM = jnp.zeros(found_BxM.shape, jnp.int32)
    return lax.fori_loop(0, (most + SLOTS - 1) // SLOTS, some, zero_BxM)


def _sum_along_rows(key_BxG, found_Bx8x1, column_Bx8x1):
    tile_end_G = (jnp.arange(key_BxG.shape[1]) // TILE + 1) * TILE
    # Before the match's own tile, items as near count as nearer: they are earlier.
    nearer_Bx8xG = key_BxG[:, None, :] > found_Bx8x1 - (column_Bx8x1 >= tile_end_G)
    return jnp.sum(nearer_Bx8xG, axis=2, dtype=jnp.int32)


def _sum_by_tiles(key_BxG, found_Bx8x1, column_Bx8x1):
    """Sums over tiles, lane by lane: a sum along a row leaves vector units idle."""
    lanes_Bx8xL = jnp.zeros((*found_Bx8x1.shape[:2], TILE), jnp.int32)
    for start in range(0, key_BxG.shape[1], TILE):
        tile_Bx1xL = key_BxG[:, None, start : start + TILE]
        lanes_Bx8xL += tile_Bx1xL > found_Bx8x1 - (column_Bx8x1 >= start + TILE)
    # Fused with the next sum, this one would run along rows after all.
    return jnp.sum(lax.optimization_barrier(lanes_Bx8xL), axis=2)


def group_maxima(counts: np.ndarray, block_rows: int) -> np.ndarray:
    """Returns the maximum of the counts [n <= B] in each group of rows, int32."""
    counts = np.pad(counts, (0, block_rows - len(counts)))
    return counts.reshape(-1, min(block_rows, _GROUP)).max(axis=1).astype(np.int32)


def _ranks(count_nxBxM, found_BxS, match_BxM, junk_BxJ, max_junk):
    """Returns the rank of each match, int32 [B, M]; undefined in padding."""
    width = match_BxM.shape[1]
    found_BxM = found_BxS[:, :width]

    def less_junk(slot, rank_BxM):
        junk_Bx1 = lax.dynamic_slice_in_dim(junk_BxJ, slot, 1, axis=1)
        key_Bx1 = lax.dynamic_slice_in_dim(found_BxS, width + slot, 1, axis=1)
        earlier_BxM = junk_Bx1 < match_BxM
        return rank_BxM - (key_Bx1 > found_BxM - earlier_BxM)

    rank_BxM = 1 + jnp.sum(count_nxBxM, axis=0)
    return lax.fori_loop(0, max_junk, less_junk, rank_BxM)
