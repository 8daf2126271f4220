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

from mbnet_jax.retrieval.blocks import SHARDED, WHOLE, GalleryBlock, sharded
from mbnet_jax.retrieval.entries import CHUNK, Entries
from mbnet_jax.retrieval.similarity import block_values, order_key

# The key of what is not found yet, below that of any value.
NOT_FOUND = np.int32(np.iinfo(np.int32).min)

SLOTS = 8  # matches of a query that are counted for at a time
_GROUP, _LANES = 64, 32  # queries and gallery items, on a CPU


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
        query, gallery, scale, offset, entries, found_1xBxS, count_1xBxM
    ):
        key_BxG = keys(query, gallery, scale, offset)
        found_BxS, count_BxM = _read_out(
            key_BxG, gallery, entries, found_1xBxS[0], count_1xBxM[0]
        )
        return key_BxG, found_BxS[None], count_BxM[None]

    def count(key_BxG, stop_1, found_BxS, match_BxM, most, count_1xBxM):
        # Of a match further down the gallery, items as near are nearer.
        later_BxM = match_BxM >= stop_1
        threshold_BxM = found_BxS[:, : match_BxM.shape[1]] - later_BxM
        nearer_BxM = lax.platform_dependent(
            key_BxG, threshold_BxM, most, cpu=nearer_on_cpu, default=nearer
        )
        return count_1xBxM + nearer_BxM

    def product_and_count(
        query, gallery, scale, offset, found_BxS, match_BxM, most, count_1xBxM
    ):
        key_BxG = keys(query, gallery, scale, offset)
        stop_1 = gallery.stop_n
        return count(key_BxG, stop_1, found_BxS, match_BxM, most, count_1xBxM)

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


def _read_out(key_BxG, gallery: GalleryBlock, entries: Entries, found_BxS, count_BxM):
    """Takes in a block's entries: their keys, and earlier items that tie with them."""
    row_E, slot_E, index_E = (part[0] for part in entries[:3])

    def chunk(number, taken):
        found_BxS, count_BxM = taken
        row, slot, index = (
            lax.dynamic_slice_in_dim(part, number * CHUNK, CHUNK)
            for part in (row_E, slot_E, index_E)
        )
        column = index - gallery.start_n
        key_CxG = key_BxG.at[row].get(mode="clip")
        key_C = jnp.take_along_axis(key_CxG, column[:, None], axis=1, mode="clip")
        tied_C = _sum_by_lanes(
            key_CxG, lambda key, lane: (key == key_C) & (lane < column[:, None])
        )
        return (
            found_BxS.at[row, slot].set(key_C[:, 0], mode="drop"),
            # Junk has no column here, and is dropped.
            count_BxM.at[row, slot].add(tied_C, mode="drop"),
        )

    return lax.fori_loop(0, entries.chunks_n[0], chunk, (found_BxS, count_BxM))


def nearer(key_BxG, threshold_BxM, most):
    """How many keys of each row exceed each of its first thresholds, int32 [B, M].

    `most` is int32 [groups of rows]: how many thresholds of a group count.
    """
    return _by_slots(key_BxG, threshold_BxM, jnp.max(most), _sum_along_rows)


def nearer_on_cpu(key_BxG, threshold_BxM, most):
    """`nearer`, for vector units and caches: groups of rows one after the other."""
    groups = len(most)
    counts = lax.map(
        lambda group: _by_slots(*group, _sum_by_lanes),
        (
            key_BxG.reshape(groups, -1, key_BxG.shape[1]),
            threshold_BxM.reshape(groups, -1, threshold_BxM.shape[1]),
            most,
        ),
    )
    return counts.reshape(threshold_BxM.shape)


def _by_slots(key_BxG, threshold_BxM, most, sum_of):
    def some(number, count_BxM):
        place = number * SLOTS
        threshold_Bx8 = lax.dynamic_slice_in_dim(threshold_BxM, place, SLOTS, axis=1)
        count_Bx8 = sum_of(
            key_BxG, lambda key, _: key[:, None, :] > threshold_Bx8[:, :, None]
        )
        return lax.dynamic_update_slice_in_dim(count_BxM, count_Bx8, place, axis=1)

    nothing_BxM = jnp.zeros(threshold_BxM.shape, jnp.int32)
    return lax.fori_loop(0, (most + SLOTS - 1) // SLOTS, some, nothing_BxM)


def _sum_along_rows(key_BxG, condition):
    holds = condition(key_BxG, jnp.arange(key_BxG.shape[1]))
    return jnp.sum(holds, axis=-1, dtype=jnp.int32)


def _sum_by_lanes(key_BxG, condition):
    """Adds slices side by side: a sum along a row leaves vector units unused."""
    lane = jnp.arange(_LANES)
    lanes = sum(
        condition(key_BxG[:, place : place + _LANES], lane + place).astype(jnp.int32)
        for place in range(0, key_BxG.shape[1], _LANES)
    )
    # Fused with the next sum, this one would be done along rows after all.
    return jnp.sum(lax.optimization_barrier(lanes), axis=-1)


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


def filled(mesh: Mesh, shape: tuple[int, int], value: int) -> jax.Array:
    """int32 [n, *shape] of `value`, a part on each device."""
    local = np.full((1, *shape), value, np.int32)
    return jax.make_array_from_callback(
        (mesh.size, *shape), NamedSharding(mesh, SHARDED), lambda _: local
    )
