"""How similar true and false pairs are: histograms over query x gallery, by blocks."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from mbnet_jax.retrieval import blocks
from mbnet_jax.retrieval.blocks import Gallery
from mbnet_jax.retrieval.features import Features, check_pair
from mbnet_jax.retrieval.labels import Labels, check_labels, matches_and_junk
from mbnet_jax.retrieval.placing import SHARDED, WHOLE, all_devices, put, sharded
from mbnet_jax.retrieval.similarity import block_values

BINS = 2000  # of equal width, from -1 to 1


class Histograms(NamedTuple):
    """How many pairs have a cosine similarity in each bin, int64 [BINS].

    Bin i is from -1 + 2 i / BINS on; the last holds 1 too.
    """

    true: np.ndarray
    false: np.ndarray


def similarity_histograms(
    query: Features,
    query_labels: Labels,
    gallery: Features,
    gallery_labels: Labels,
    *,
    rule: str = "general",
    mesh: Mesh | None = None,
) -> Histograms:
    """Counts the pairs that the rule keeps, by cosine similarity.

    A true pair is a query and one of its true matches, a false one a query and an
    image of another person. Queries without a true match are left out, as they are
    of the metrics. Arguments and errors are those of `retrieval_metrics`. One block
    of similarities is held at a time.
    """
    query, gallery = check_pair(query, gallery)
    query_labels = check_labels("query_labels", query_labels, len(query))
    gallery_labels = check_labels("gallery_labels", gallery_labels, len(gallery))
    match, junk = matches_and_junk(query_labels, gallery_labels, rule)
    mesh = all_devices(mesh)
    dtype = jnp.dtype("float32")
    steps = Gallery(gallery, mesh, "cosine", dtype)
    counts = _program(mesh)
    total = np.zeros((3, BINS), np.int64)
    order = np.flatnonzero(match.counts)
    for chosen, block in blocks.query_blocks(query, order, mesh, "cosine", dtype):
        size = len(block.rows_BxD)
        rows = put(np.arange(size) < len(chosen), mesh, WHOLE)
        listed = [
            put(_rows(x.indices, chosen, size), mesh, WHOLE) for x in (match, junk)
        ]
        for step in range(len(steps.own)):
            counted = counts(block, steps.load(step), rows, *listed)
            steps.follow(counted)
            total += np.asarray(_sum(mesh)(counted))
        steps.check()
    # What a rule throws out is counted with the rest, and taken off in the end.
    kept, matches, thrown_out = total
    return Histograms(matches, kept - matches - thrown_out)


def _rows(indices: np.ndarray, chosen: np.ndarray, size: int) -> np.ndarray:
    """The lists of the queries `chosen`, then lists of -1: int32 [size, width]."""
    rows = np.full((size, indices.shape[1]), -1, np.int32)
    rows[: len(chosen)] = indices[chosen]
    return rows


@functools.lru_cache
def _sum(mesh: Mesh):
    """Compiles what adds up the parts of all devices, for every one."""
    return jax.jit(lambda x: x.sum(0), out_shardings=NamedSharding(mesh, WHOLE))


@functools.lru_cache
def _program(mesh: Mesh):
    """Compiles (query, gallery, real rows, matches, junk) -> counts [n, 3, BINS]."""

    def counts(query, gallery, real_B, match_BxM, junk_BxJ):
        value_BxG = block_values(query, gallery, None, None, "cosine")
        size = value_BxG.shape[1]
        bin_BxG = jnp.floor((value_BxG + 1) * (BINS / 2)).clip(0, BINS - 1).astype(int)
        own_BxG = (value_BxG > -jnp.inf) & real_B[:, None]
        bin_BxG = jnp.where(own_BxG, bin_BxG, BINS)  # one more bin for what is none

        def histogram(bins):
            return jnp.bincount(bins.reshape(-1), length=BINS + 1)[:BINS]

        def listed(index_BxL):
            # A negative column would count from the end: all outside go past the end.
            column_BxL = index_BxL - gallery.start_n
            column_BxL = jnp.where(column_BxL < 0, size, column_BxL)
            row_Bx1 = jnp.arange(len(bin_BxG))[:, None]
            return histogram(
                bin_BxG.at[row_Bx1, column_BxL].get(mode="fill", fill_value=BINS)
            )

        found = histogram(bin_BxG), listed(match_BxM), listed(junk_BxJ)
        return jnp.stack(found)[None]

    return sharded(mesh, counts, (WHOLE, SHARDED, WHOLE, WHOLE, WHOLE))
