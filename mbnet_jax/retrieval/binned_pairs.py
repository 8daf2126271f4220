"""Counts the pairs of queries and gallery items by their similarity, block by block.

One block of similarities is held at a time; the counts stay on the devices.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from mbnet_jax.retrieval.arguments import Features, check_pair
from mbnet_jax.retrieval.blocks import (
    SHARDED,
    WHOLE,
    Gallery,
    all_devices,
    filled,
    put,
    query_blocks,
    sharded,
)
from mbnet_jax.retrieval.labels import Labels, check_labels, matches_and_junk
from mbnet_jax.retrieval.similarity import block_values

_MOST = 2**31 - 1  # pairs that are counted in int32


def count_pairs(
    query: Features,
    query_labels: Labels,
    gallery: Features,
    gallery_labels: Labels,
    *,
    rule: str,
    mesh: Mesh | None,
    bins_of: Callable,
    bins: int,
    values: tuple[np.ndarray, ...] = (),
    unmatched: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Counts the true and the false pairs that the rule keeps, by bin.

    Args:
      query, query_labels, gallery, gallery_labels, rule, mesh: as in
        `retrieval_metrics`.
      bins_of: (cosines float32 [B, G], *values) -> bins int32 [B, G], from 0; a pair in
        bin `bins` or above is not counted. A function of a module: its program is
        compiled once.
      bins: the number of bins.
      values: further arguments of `bins_of`, the same for every block.
      unmatched: whether queries without a true match count.

    Returns:
      Numbers of true and of false pairs, int64 [bins] each. A true pair is a query and
      one of its true matches, a false pair a query and an item of another person.

    Raises:
      ValueError: as `retrieval_metrics`.
    """
    query, gallery = check_pair(query, gallery)
    query_labels = check_labels("query_labels", query_labels, len(query))
    gallery_labels = check_labels("gallery_labels", gallery_labels, len(gallery))
    match, junk = matches_and_junk(query_labels, gallery_labels, rule)
    mesh = all_devices(mesh)
    dtype = jnp.dtype("float32")
    blocks = Gallery(gallery, mesh, "cosine", dtype)
    count = _program(mesh, bins_of)
    given = tuple(put(np.asarray(value), mesh, WHOLE) for value in values)
    total = np.zeros((3, bins), np.int64)
    counted = np.ones(len(query), bool) if unmatched else match.counts > 0
    # Queries that do not count are checked all the same; so is the gallery.
    for _ in query_blocks(query, np.flatnonzero(~counted), mesh, "cosine", dtype):
        pass
    if not counted.any():
        blocks.check_all()
    order = np.flatnonzero(counted)
    for chosen, block in query_blocks(query, order, mesh, "cosine", dtype):
        size = len(block.rows_BxD)
        pairs = size * blocks.block_rows * mesh.size  # of a step, at most
        labels = tuple(
            put(x, mesh, WHOLE)
            for x in (
                np.arange(size) < len(chosen),
                match.rows(chosen, size),
                junk.rows(chosen, size),
            )
        )
        counts, held = filled(mesh, (3, bins), 0, np.int32), 0
        for step in range(len(blocks.bounds)):
            if held + pairs > _MOST:
                total += np.asarray(_sum(mesh)(counts))
                counts, held = filled(mesh, (3, bins), 0, np.int32), 0
            counts, done = count(counts, block, blocks.load(step), labels, given)
            blocks.throttle(done)
            held += pairs
        total += np.asarray(_sum(mesh)(counts))
        blocks.check()
    # Junk is counted with the other pairs, and subtracted here.
    every, true, thrown_out = total
    return true, every - true - thrown_out


@functools.lru_cache
def _sum(mesh: Mesh):
    """Compiles the sum of all devices' parts, whole on every device."""
    return jax.jit(lambda x: x.sum(0), out_shardings=NamedSharding(mesh, WHOLE))


@functools.lru_cache
def _program(mesh: Mesh, bins_of: Callable):
    """Compiles (counts [n, 3, bins], query, gallery, labels, values) -> new counts."""

    def count(counts, query, gallery, labels, values):
        is_query_B, match_BxM, junk_BxJ = labels
        bins = counts.shape[-1]
        value_BxG = block_values(query, gallery, None, None, "cosine")
        own_BxG = (value_BxG > -jnp.inf) & is_query_B[:, None]
        bin_BxG = jnp.where(own_BxG, bins_of(value_BxG, *values), bins)

        def listed(index_BxL):
            column_BxL = gallery.columns(index_BxL)
            row_Bx1 = jnp.arange(len(bin_BxG))[:, None]
            return bin_BxG.at[row_Bx1, column_BxL].get(mode="fill", fill_value=bins)

        for kind, found in enumerate((bin_BxG, listed(match_BxM), listed(junk_BxJ))):
            counts = counts.at[0, kind, found.reshape(-1)].add(1, mode="drop")
        return counts, is_query_B[None, :1]

    return sharded(mesh, count, (SHARDED, WHOLE, SHARDED, WHOLE, WHOLE), donated=(0,))
