"""Histograms of the similarities of true and of false pairs, block by block."""

import functools
from typing import NamedTuple

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
    put,
    query_blocks,
    sharded,
)
from mbnet_jax.retrieval.labels import Labels, check_labels, matches_and_junk
from mbnet_jax.retrieval.similarity import block_values

BINS = 2000  # of equal width, from -1 to 1


class Histograms(NamedTuple):
    """Number of pairs with a cosine similarity in each bin, int64 [BINS].

    Bin i starts at -1 + 2 i / BINS; the last bin includes 1.
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

    A true pair is a query and one of its true matches, a false pair a query and an
    image of another person. Queries without a true match are left out, as from the
    metrics. Arguments and errors are as in `retrieval_metrics`. One block of
    similarities is held at a time.
    """
    query, gallery = check_pair(query, gallery)
    query_labels = check_labels("query_labels", query_labels, len(query))
    gallery_labels = check_labels("gallery_labels", gallery_labels, len(gallery))
    match, junk = matches_and_junk(query_labels, gallery_labels, rule)
    mesh = all_devices(mesh)
    dtype = jnp.dtype("float32")
    blocks = Gallery(gallery, mesh, "cosine", dtype)
    count = _program(mesh)
    total = np.zeros((3, BINS), np.int64)
    order = np.flatnonzero(match.counts)
    # Queries without a match are checked, but not counted; so is the gallery.
    dropped = np.flatnonzero(match.counts == 0)
    for _ in query_blocks(query, dropped, mesh, "cosine", dtype):
        pass
    if not len(order):
        blocks.check_all()
    for chosen, block in query_blocks(query, order, mesh, "cosine", dtype):
        size = len(block.rows_BxD)
        is_query, matches, thrown_out = (
            put(x, mesh, WHOLE)
            for x in (
                np.arange(size) < len(chosen),
                match.rows(chosen, size),
                junk.rows(chosen, size),
            )
        )
        for step in range(len(blocks.bounds)):
            counts = count(block, blocks.load(step), is_query, matches, thrown_out)
            blocks.throttle(counts)
            total += np.asarray(_sum(mesh)(counts))
        blocks.check()
    # Junk is counted with the other pairs, and subtracted here.
    every, true, thrown_out = total
    return Histograms(true, every - true - thrown_out)


@functools.lru_cache
def _sum(mesh: Mesh):
    """Compiles the sum of all devices' parts, whole on every device."""
    return jax.jit(lambda x: x.sum(0), out_shardings=NamedSharding(mesh, WHOLE))


@functools.lru_cache
def _program(mesh: Mesh):
    """Compiles (query, gallery, is_query, matches, junk) -> counts [n, 3, BINS]."""

    def count(query, gallery, is_query_B, match_BxM, junk_BxJ):
        value_BxG = block_values(query, gallery, None, None, "cosine")
        bin_BxG = jnp.floor((value_BxG + 1) * (BINS / 2)).clip(0, BINS - 1).astype(int)
        own_BxG = (value_BxG > -jnp.inf) & is_query_B[:, None]
        bin_BxG = jnp.where(own_BxG, bin_BxG, BINS)  # one more bin, for padding

        def histogram(bins):
            return jnp.bincount(bins.reshape(-1), length=BINS + 1)[:BINS]

        def listed(index_BxL):
            column_BxL = gallery.columns(index_BxL)
            row_Bx1 = jnp.arange(len(bin_BxG))[:, None]
            return histogram(
                bin_BxG.at[row_Bx1, column_BxL].get(mode="fill", fill_value=BINS)
            )

        found = histogram(bin_BxG), listed(match_BxM), listed(junk_BxJ)
        return jnp.stack(found)[None]

    return sharded(mesh, count, (WHOLE, SHARDED, WHOLE, WHOLE, WHOLE))
