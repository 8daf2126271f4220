"""The nearest gallery items of each query, exact, block by block."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding

from mbnet_jax.retrieval import blocks
from mbnet_jax.retrieval.blocks import Gallery
from mbnet_jax.retrieval.features import Features, check_metric, check_pair
from mbnet_jax.retrieval.labels import Labels, check_labels, matches_and_junk
from mbnet_jax.retrieval.placing import (
    SHARDED,
    WHOLE,
    Behind,
    all_devices,
    filled,
    put,
    sharded,
)
from mbnet_jax.retrieval.reranking import Reranking
from mbnet_jax.retrieval.rescaling import Rescaling, check_reranking
from mbnet_jax.retrieval.similarity import block_values, check_dtype


class RankedLists(NamedTuple):
    """The nearest kept gallery items of each query, nearest first.

    A query with fewer than k kept items has index -1, similarity -inf and
    correct False in the rest of its row.
    """

    indices: np.ndarray  # int32 [num_queries, k]
    similarities: np.ndarray  # float32 [num_queries, k], as `top_k` has them
    correct: np.ndarray  # bool [num_queries, k]


class Nearest(NamedTuple):
    """The nearest gallery items of each query; values as in `similarity`."""

    values: np.ndarray  # float32 [num_queries, k], descending
    indices: np.ndarray  # int32 [num_queries, k]
    lowest: np.ndarray  # float32 [num_queries], of all kept gallery items


def top_k(
    query: Features,
    gallery: Features,
    k: int,
    *,
    metric: str = "cosine",
    dtype: str = "float32",
    mesh: Mesh | None = None,
    reranking: Reranking | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest gallery rows of each query.

    Args:
      query: features [num_queries, D].
      gallery: features [num_gallery, D].
      k: at least 1, at most num_gallery.
      metric, dtype, mesh, reranking: as in `retrieval_metrics`.

    Returns:
      Similarities float32 [num_queries, k], descending, and gallery indices
      int32 [num_queries, k]; equal similarities are in gallery order. A similarity
      is the cosine, or minus the Euclidean distance, or, re-ranked, minus the
      re-ranked distance.

    Raises:
      ValueError: features do not fit, are empty or cannot be compared; k is out
        of range.
    """
    values, indices, _ = nearest(
        query, gallery, k, metric=metric, dtype=dtype, mesh=mesh, reranking=reranking
    )
    return _similarities(values, metric, reranking), indices


def ranked_lists(
    query: Features,
    query_labels: Labels,
    gallery: Features,
    gallery_labels: Labels,
    *,
    rule: str = "general",
    k: int = 10,
    metric: str = "cosine",
    dtype: str = "float32",
    mesh: Mesh | None = None,
    reranking: Reranking | None = None,
) -> RankedLists:
    """The k nearest gallery items of each query that the rule keeps.

    Arguments and errors are those of `retrieval_metrics` and `top_k`.
    """
    query, gallery = check_pair(query, gallery)
    query_labels = check_labels("query_labels", query_labels, len(query))
    gallery_labels = check_labels("gallery_labels", gallery_labels, len(gallery))
    _, junk = matches_and_junk(query_labels, gallery_labels, rule)
    values, indices, _ = nearest(
        query,
        gallery,
        k,
        metric=metric,
        dtype=dtype,
        mesh=mesh,
        junk=junk.indices,
        reranking=reranking,
    )
    similarities = _similarities(values, metric, reranking)
    indices = np.where(np.isneginf(similarities), -1, indices)
    # Of the query's person only true matches are left.
    correct = gallery_labels.pid[indices] == query_labels.pid[:, None]
    return RankedLists(indices, similarities, correct & (indices >= 0))


def _similarities(values, metric: str, reranking: Reranking | None) -> np.ndarray:
    if metric == "cosine" or reranking is not None:
        return values
    return -np.sqrt(np.maximum(-values, 0))


def nearest(
    query: Features,
    gallery: Features,
    k: int,
    *,
    metric: str = "cosine",
    dtype: str = "float32",
    mesh: Mesh | None = None,
    junk: np.ndarray | None = None,
    reranking: Reranking | None = None,
) -> Nearest:
    """`top_k` with the values that items are ranked by, and the lowest of them.

    `junk`, int32 [num_queries, J], are gallery indices that come last, at -inf; -1
    stands for none.
    """
    query, gallery = check_pair(query, gallery)
    if not 1 <= k <= len(gallery):
        raise ValueError(f"k must be from 1 to the gallery's {len(gallery)}, got {k}")
    check_metric(metric)
    check_reranking(reranking, query, gallery)
    dtype = check_dtype(dtype)
    mesh = all_devices(mesh)
    steps = Gallery(gallery, mesh, metric, dtype)
    better = _program(mesh, metric)
    parts = []
    every = np.arange(len(query))
    for chosen, block in blocks.query_blocks(query, every, mesh, metric, dtype):
        size = len(block.rows_BxD)
        junk_BxJ = np.full((size, 1 if junk is None else junk.shape[1]), -1, np.int32)
        if junk is not None:
            junk_BxJ[: len(chosen)] = junk[chosen]
        junk_BxJ = put(junk_BxJ, mesh, WHOLE)
        best = _nothing(mesh, size, k)
        shape = size, steps.block_rows
        rescaling = Rescaling(reranking, chosen, shape, mesh)
        behind = Behind()
        for step, own in enumerate(steps.own):
            best = better(block, steps.load(step), *rescaling.of(own), junk_BxJ, best)
            behind.follow(best.lowest)
        steps.check()
        parts.append(_merged(best, len(chosen), k, mesh))
    return Nearest(*map(np.concatenate, zip(*parts, strict=True)))


def _nothing(mesh: Mesh, size: int, k: int) -> Nearest:
    """What each of n devices starts with: [n, B, k], and lowest [n, B]."""
    return Nearest(
        filled(mesh, (size, k), -np.inf, np.float32),
        filled(mesh, (size, k), np.iinfo(np.int32).max, np.int32),
        filled(mesh, (size,), np.inf, np.float32),
    )


@functools.lru_cache
def _program(mesh: Mesh, metric: str):
    """Compiles (query, gallery, scale, offset, junk, best so far) -> best."""

    def better(query, gallery, scale, offset, junk_BxJ, best):
        value_BxG = block_values(query, gallery, scale, offset, metric)
        own_BxG = value_BxG > -jnp.inf
        # A negative column would count from the end: all outside go past the end.
        size = value_BxG.shape[1]
        column_BxJ = junk_BxJ - gallery.start_n
        column_BxJ = jnp.where(column_BxJ < 0, size, column_BxJ)
        row_Bx1 = jnp.arange(len(value_BxG))[:, None]
        value_BxG = value_BxG.at[row_Bx1, column_BxJ].set(-jnp.inf, mode="drop")
        kept_BxG = own_BxG & (value_BxG > -jnp.inf)
        lowest_B = jnp.min(jnp.where(kept_BxG, value_BxG, jnp.inf), axis=1)

        values_BxK, indices_BxK, lowest_so_far = (part[0] for part in best)
        k = values_BxK.shape[1]
        # Of equal values top_k takes the first: those so far precede in the gallery.
        value, column = lax.top_k(value_BxG, min(k, size))
        value = jnp.concatenate([values_BxK, value], axis=1)
        index = jnp.concatenate([indices_BxK, column + gallery.start_n], axis=1)
        value, place = lax.top_k(value, k)
        index = jnp.take_along_axis(index, place, axis=1)
        lowest_B = jnp.minimum(lowest_so_far, lowest_B)
        return Nearest(value[None], index[None], lowest_B[None])

    return sharded(mesh, better, (WHOLE, SHARDED, WHOLE, SHARDED, WHOLE, SHARDED))


@functools.lru_cache
def _gather(mesh: Mesh):
    """Compiles what brings the parts of all devices to every one."""
    return jax.jit(lambda parts: parts, out_shardings=NamedSharding(mesh, WHOLE))


def _merged(best: Nearest, rows: int, k: int, mesh: Mesh) -> Nearest:
    """The best of all devices, for the block's first `rows` queries."""
    values, indices, lowest = map(np.asarray, _gather(mesh)(best))
    values = np.hstack(values)[:rows]
    indices = np.hstack(indices)[:rows]
    order = np.lexsort([indices, -values], axis=1)[:, :k]
    return Nearest(
        np.take_along_axis(values, order, axis=1),
        np.take_along_axis(indices, order, axis=1),
        lowest.min(axis=0)[:rows],
    )
