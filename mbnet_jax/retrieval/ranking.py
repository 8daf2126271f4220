"""Finds the nearest gallery items of each query: exactly, block by block."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding

from mbnet_jax.retrieval.arguments import (
    Features,
    check_count,
    check_dtype,
    check_metric,
    check_pair,
)
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
from mbnet_jax.retrieval.labels import Labels, Lists, check_labels, matches_and_junk
from mbnet_jax.retrieval.reranking import Reranking, Rescaling, check_reranking
from mbnet_jax.retrieval.similarity import block_values


class RankedLists(NamedTuple):
    """The nearest kept gallery items of each query, nearest first.

    If a query has fewer than k kept items, the rest of its row has index -1,
    similarity -inf and correct False.
    """

    indices: np.ndarray  # int32 [num_queries, k]
    similarities: np.ndarray  # float32 [num_queries, k], as from `top_k`
    correct: np.ndarray  # bool [num_queries, k]


class Nearest(NamedTuple):
    """The nearest gallery items of each query; values as defined in similarity.py."""

    values: np.ndarray  # float32 [num_queries, k], descending
    indices: np.ndarray  # int32 [num_queries, k]
    lowest: np.ndarray  # float32 [num_queries], over all kept gallery items


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
    """Finds the k nearest gallery rows of each query.

    Args:
      query: features [num_queries, D].
      gallery: features [num_gallery, D].
      k: from 1 to num_gallery.
      metric, dtype, mesh, reranking: as in `retrieval_metrics`.

    Returns:
      Similarities float32 [num_queries, k], descending, and gallery indices
      int32 [num_queries, k]. Equal similarities are in gallery order. A similarity
      is the cosine, or the negated Euclidean distance; with re-ranking, the negated
      re-ranked distance.

    Raises:
      ValueError: features are empty, cannot be compared or do not fit together; k is
        out of range; the metric or dtype is unknown.
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
    """Finds the k nearest gallery items of each query among those that the rule keeps.

    Arguments and errors are as in `retrieval_metrics` and `top_k`.
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
        junk=junk,
        reranking=reranking,
    )
    similarities = _similarities(values, metric, reranking)
    indices = np.where(np.isneginf(similarities), -1, indices)
    # The only images of the query's person that are kept are true matches.
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
    junk: Lists | None = None,
    reranking: Reranking | None = None,
) -> Nearest:
    """Like `top_k`, but returns the values that rank the items, and the lowest value.

    `junk` has the gallery items of each query that are not kept: their value is -inf.
    """
    query, gallery = check_pair(query, gallery)
    k = check_count("k", k, len(gallery), "items of the gallery")
    check_metric(metric)
    check_reranking(reranking, query, gallery, metric)
    dtype = check_dtype(dtype)
    mesh = all_devices(mesh)
    blocks = Gallery(gallery, mesh, metric, dtype)
    update = _program(mesh, metric)
    parts = []
    everyone = np.arange(len(query))
    for chosen, block in query_blocks(query, everyone, mesh, metric, dtype):
        size = len(block.rows_BxD)
        if junk is None:
            junk_BxJ = np.full((size, 1), -1, np.int32)
        else:
            junk_BxJ = junk.rows(chosen, size)
        junk_BxJ = put(junk_BxJ, mesh, WHOLE)
        best = _nothing(mesh, size, k)
        rescaling = Rescaling(reranking, chosen, (size, blocks.block_rows), mesh)
        for step, bounds in enumerate(blocks.bounds):
            rescaled = rescaling.scale_and_offset(bounds)
            best = update(block, blocks.load(step), *rescaled, junk_BxJ, best)
            blocks.throttle(best.lowest)
        blocks.check()
        parts.append(_merged(best, len(chosen), k, mesh))
    return Nearest(*map(np.concatenate, zip(*parts, strict=True)))


def _nothing(mesh: Mesh, size: int, k: int) -> Nearest:
    """The initial state of n devices: values and indices [n, B, k], lowest [n, B]."""
    return Nearest(
        filled(mesh, (size, k), -np.inf, np.float32),
        filled(mesh, (size, k), np.iinfo(np.int32).max, np.int32),
        filled(mesh, (size,), np.inf, np.float32),
    )


@functools.lru_cache
def _program(mesh: Mesh, metric: str):
    """Compiles (query, gallery, scale, offset, junk, best so far) -> best."""

    def update(query, gallery, scale, offset, junk_BxJ, best):
        value_BxG = block_values(query, gallery, scale, offset, metric)
        own_BxG = value_BxG > -jnp.inf
        column_BxJ = gallery.columns(junk_BxJ)
        row_Bx1 = jnp.arange(len(value_BxG))[:, None]
        value_BxG = value_BxG.at[row_Bx1, column_BxJ].set(-jnp.inf, mode="drop")
        kept_BxG = own_BxG & (value_BxG > -jnp.inf)
        lowest_B = jnp.min(jnp.where(kept_BxG, value_BxG, jnp.inf), axis=1)

        values_BxK, indices_BxK, lowest_so_far = (part[0] for part in best)
        k = values_BxK.shape[1]
        # top_k takes the first of equal values: the best so far have lower indices.
        value, column = lax.top_k(value_BxG, min(k, value_BxG.shape[1]))
        value = jnp.concatenate([values_BxK, value], axis=1)
        index = jnp.concatenate([indices_BxK, column + gallery.first_n], axis=1)
        value, position = lax.top_k(value, k)
        index = jnp.take_along_axis(index, position, axis=1)
        lowest_B = jnp.minimum(lowest_so_far, lowest_B)
        return Nearest(value[None], index[None], lowest_B[None])

    return sharded(mesh, update, (WHOLE, SHARDED, WHOLE, SHARDED, WHOLE, SHARDED))


@functools.lru_cache
def _gather(mesh: Mesh):
    """Compiles the copy of all devices' parts to every device."""
    return jax.jit(lambda parts: parts, out_shardings=NamedSharding(mesh, WHOLE))


def _merged(best: Nearest, rows: int, k: int, mesh: Mesh) -> Nearest:
    """Merges the lists of all devices, for the block's first `rows` queries."""
    values, indices, lowest = map(np.asarray, _gather(mesh)(best))
    values = np.hstack(values)[:rows]
    indices = np.hstack(indices)[:rows]
    order = np.lexsort([indices, -values], axis=1)[:, :k]
    return Nearest(
        np.take_along_axis(values, order, axis=1),
        np.take_along_axis(indices, order, axis=1),
        lowest.min(axis=0)[:rows],
    )
