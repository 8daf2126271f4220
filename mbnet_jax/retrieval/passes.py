"""Reads and counts the keys of a block in passes over all of them, on accelerators.

A TPU gathers and scatters one item at a time, but compares thousands in a cycle.

Axes: B queries of a block, G gallery rows of a block, in T tiles of L = `TILE` rows.
A query has S slots: the first M are matches, the others junk. Up to K of them are in
the block.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from mbnet_jax.retrieval.similarity import GalleryBlock

SLOTS = 8  # items of a query that are read or counted in one pass
TILE = 32  # gallery items within which ties are compared by index
LANES = 128  # queries for which the number of passes is the same


def arranged(key_BxG: jax.Array) -> jax.Array:
    """Returns the keys of a block as they are kept: [T, L, B].

    With queries along the lanes of a vector unit, sums over the gallery need no
    exchange between lanes, and what belongs to a query is one vector.
    """
    return key_BxG.T.reshape(-1, TILE, len(key_BxG))


def read(key_TxLxB, gallery: GalleryBlock, lists_1x2xBxK, found_BxS, count_BxM):
    """Reads the keys of a block's entries, and counts ties of matches in their tiles.

    Args:
      key_TxLxB: int32, the block's keys.
      gallery: the block.
      lists_1x2xBxK: the entries of each query, see `counting.EntryTable.lists`.
      found_BxS: int32, the keys found so far.
      count_BxM: int32, the items counted so far.

    Returns:
      `found_BxS` and `count_BxM`, with what is in the block. Items that tie
      with a match count here if they are earlier in its own tile, else in `nearer`.
    """
    slot_KxB, index_KxB = (lists_BxK.T for lists_BxK in lists_1x2xBxK[0])
    tile_Tx1 = jnp.arange(len(key_TxLxB))[:, None]
    lane_Lx1 = jnp.arange(TILE)[:, None]

    def look(key_TxLxB, column_B):
        # All bits of the item's own tile, none of the others.
        bits_TxB = jnp.where(tile_Tx1 == column_B // TILE, -1, 0)
        bits_TxB = lax.optimization_barrier(bits_TxB)  # computed once for all lanes
        tile_LxB = jnp.sum(key_TxLxB & bits_TxB[:, None], axis=0)
        lane_B = column_B % TILE
        key_B = jnp.sum(jnp.where(lane_Lx1 == lane_B, tile_LxB, 0), axis=0)
        tied_LxB = (tile_LxB == key_B) & (lane_Lx1 < lane_B)
        return key_B, jnp.sum(tied_LxB, axis=0, dtype=jnp.int32)

    used_B = jnp.sum(slot_KxB >= 0, axis=0)
    column_KxB = index_KxB - gallery.first_n
    key_KxB, tied_KxB = _by_slots(look, key_TxLxB, used_B, column_KxB)

    def put(place, so_far):
        found_SxB, count_MxB = so_far
        slot_B, key_B, tied_B = slot_KxB[place], key_KxB[place], tied_KxB[place]
        here_SxB = jnp.arange(len(found_SxB))[:, None] == slot_B
        found_SxB = jnp.where(here_SxB, key_B, found_SxB)
        return found_SxB, count_MxB + jnp.where(here_SxB[: len(count_MxB)], tied_B, 0)

    found_SxB, count_MxB = lax.fori_loop(
        0, jnp.max(used_B), put, (found_BxS.T, count_BxM.T)
    )
    return found_SxB.T, count_MxB.T


def nearer(key_TxLxB, found_BxM, column_BxM, group_max):
    """Counts a block's items that precede each match, except ties in its own tile.

    Args:
      key_TxLxB: int32, the block's keys.
      found_BxM: int32, the matches' keys.
      column_BxM: int32, the matches' columns; outside 0..G-1 for other blocks.
      group_max: int32 [groups of rows], see `counting.group_maxima`.

    Returns:
      int32 [B, M]. Past a group's maximum, rounded up to `SLOTS`, it is undefined.
    """
    end_Tx1 = TILE * (1 + jnp.arange(len(key_TxLxB)))[:, None]

    def count(key_TxLxB, found_B, column_B):
        # Before the match's own tile, items as near count as nearer: they are earlier.
        bound_TxB = found_B - (column_B >= end_Tx1)
        over_TxLxB = key_TxLxB > bound_TxB[:, None]
        return (jnp.sum(over_TxLxB, axis=(0, 1), dtype=jnp.int32),)

    parts = found_BxM.T, column_BxM.T
    (count_MxB,) = _by_slots(count, key_TxLxB, group_max, *parts)
    return count_MxB.T


def _by_slots(function: Callable, key_TxLxB, used_U, *parts_NxB: jax.Array) -> tuple:
    """Applies a function to the parts' first rows, `SLOTS` rows at a time.

    It takes keys and a row of each part, for some of the queries, and returns a tuple
    of rows. `used_U` has the number of rows to compute, of each group of queries; there
    are U groups. Returns an array int32 [N, B] for each row that the function returns;
    N is a multiple of `SLOTS`.
    """
    shape = parts_NxB[0].shape
    lanes = min(shape[1], LANES)
    used_U = jnp.max(used_U.reshape(shape[1] // lanes, -1), axis=1)

    def of_lanes(group):
        start, used = group
        key, *parts = (
            lax.dynamic_slice_in_dim(x, start, lanes, axis=-1)
            for x in (key_TxLxB, *parts_NxB)
        )
        outputs = len(jax.eval_shape(function, key, *(part[0] for part in parts)))
        zeros = (jnp.zeros((shape[0], lanes), jnp.int32),) * outputs

        def some(number, results):
            start = number * SLOTS
            chosen = [lax.dynamic_slice_in_dim(x, start, SLOTS) for x in parts]
            # Sums of separate rows are compiled to one pass over the block. A single
            # sum with an axis of rows would take four times as long.
            rows = [function(key, *row) for row in zip(*chosen, strict=True)]
            return tuple(
                lax.dynamic_update_slice_in_dim(result, jnp.stack(new), start, axis=0)
                for result, new in zip(results, zip(*rows, strict=True), strict=True)
            )

        return lax.fori_loop(0, (used + SLOTS - 1) // SLOTS, some, zeros)

    starts = jnp.arange(0, shape[1], lanes)
    results = lax.map(of_lanes, (starts, used_U))
    return tuple(x.swapaxes(0, 1).reshape(shape) for x in results)
