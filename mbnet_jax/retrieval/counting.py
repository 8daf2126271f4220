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

from mbnet_jax.retrieval import passes, passes_on_cpu
from mbnet_jax.retrieval.blocks import SHARDED, WHOLE, power_of_two, put, sharded
from mbnet_jax.retrieval.similarity import block_values, order_key

# The key of an item not yet found, below the key of any value.
NOT_FOUND = np.int32(np.iinfo(np.int32).min)

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
        return power_of_two(int(self._counts.max()), passes_on_cpu.CHUNK)

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

    def longest(self) -> int:
        """Returns a number of entries that is enough for any query in any block."""
        return power_of_two(int(self._places.max(initial=-1)) + 1, passes.SLOTS)

    def lists(self, step: int, mesh: Mesh, longest: int) -> jax.Array:
        """Returns the entries of each device's block by query, int32 [n, 2, B, K].

        Of K = `longest` places of a query, the first hold its items' slots and gallery
        indices; the rest, -1.
        """
        row, slot, index = self._entries
        shape = self._num_devices, 2, self.shape[0], longest
        lists_nx2xBxK = np.full(shape, -1, np.int32)
        blocks = self._blocks(step)
        parts = zip(self._counts[blocks], self._stops[blocks], strict=True)
        for lane, (count, stop) in enumerate(parts):
            part = slice(stop - count, stop)
            to = row[part], self._places[part]
            lists_nx2xBxK[lane, 0][to] = slot[part]
            lists_nx2xBxK[lane, 1][to] = index[part]
        return put(lists_nx2xBxK, mesh, SHARDED)

    @functools.cached_property
    def _places(self) -> np.ndarray:
        """Each entry's position among those of its query in its block."""
        row = self._entries[0]
        block = np.repeat(np.arange(len(self._counts)), self._counts)
        # Entries are ordered by block, then by query.
        number = np.arange(len(row))
        is_first = np.ones(len(row), bool)
        is_first[1:] = (np.diff(row) != 0) | (np.diff(block) != 0)
        return number - np.maximum.accumulate(np.where(is_first, number, 0))

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


def on_cpu(mesh: Mesh) -> bool:
    """Returns whether blocks are read and counted by `passes_on_cpu`, or by `passes`.

    The former reads `EntryTable.entries`, the latter `EntryTable.lists`.
    """
    return mesh.devices.flat[0].platform == "cpu"


@functools.lru_cache
def programs(mesh: Mesh, metric: str) -> Programs:
    """Returns the programs for a mesh and metric."""
    shard = functools.partial(sharded, mesh)
    way = passes_on_cpu if on_cpu(mesh) else passes

    def keys(query, gallery, scale, offset):
        value_BxG = block_values(query, gallery, scale, offset, metric)
        return way.arranged(order_key(value_BxG))

    def product_and_find(
        query, gallery, scale, offset, entries, found_1xBxS, count_1xBxM
    ):
        key = keys(query, gallery, scale, offset)
        found_BxS, count_BxM = way.read(
            key, gallery, entries, found_1xBxS[0], count_1xBxM[0]
        )
        return key, found_BxS[None], count_BxM[None]

    def count(key, gallery, found_BxS, match_BxM, group_max, count_1xBxM):
        column_BxM = match_BxM - gallery.first_n
        found_BxM = found_BxS[:, : match_BxM.shape[1]]
        return count_1xBxM + way.nearer(key, found_BxM, column_BxM, group_max)

    def product_and_count(
        query, gallery, scale, offset, found_BxS, match_BxM, group_max, count_1xBxM
    ):
        key = keys(query, gallery, scale, offset)
        return count(key, gallery, found_BxS, match_BxM, group_max, count_1xBxM)

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
