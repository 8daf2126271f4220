"""mAP, mINP and CMC without sorting: a rank is a count.

Each block of queries meets the gallery twice. The first pass reads the values of the
true matches and of the junk, in the gallery blocks that hold any. The second counts
the items that are nearer. Products of the first pass are kept for the second within a
fixed budget, so that most are computed once.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jax.sharding import Mesh

from mbnet_jax.retrieval import counting
from mbnet_jax.retrieval.arguments import (
    Features,
    check_block_rows,
    check_dtype,
    check_metric,
    check_pair,
    check_ranks,
)
from mbnet_jax.retrieval.blocks import (
    WHOLE,
    Gallery,
    all_devices,
    filled,
    put,
    query_blocks,
)
from mbnet_jax.retrieval.labels import Labels, Lists, check_labels, matches_and_junk
from mbnet_jax.retrieval.reranking import Reranking, Rescaling, check_reranking
from mbnet_jax.retrieval.similarity import QueryBlock

# Maximum on each device for products of the first pass, kept as keys.
KEPT_BYTES = 256 << 20


@dataclasses.dataclass(frozen=True)
class RetrievalMetrics:
    """Means over the queries that have a true match; NaN if none has.

    Attributes:
      mAP: mean average precision, in 0..1. Average precision is the mean of
        the precisions at each hit (not interpolated).
      mINP: mean inverse negative penalty, in 0..1: true matches / rank of the
        last one (Ye et al., "Deep learning for person re-identification: a
        survey and outlook", TPAMI 2022).
      cmc: k -> share of queries, in 0..1, with a true match among the first k.
      num_queries: number of queries that have a true match.
      average_precision: float64 [all queries], NaN without a true match.
      first_match_rank: int64 [all queries], from 1; 0 without a true match.
    """

    mAP: float
    mINP: float
    cmc: dict[int, float]
    num_queries: int
    average_precision: np.ndarray
    first_match_rank: np.ndarray


def retrieval_metrics(
    query: Features,
    query_labels: Labels,
    gallery: Features,
    gallery_labels: Labels,
    *,
    rule: str = "general",
    ranks: Sequence[int] = (1, 5, 10, 20),
    metric: str = "cosine",
    dtype: str = "float32",
    mesh: Mesh | None = None,
    reranking: Reranking | None = None,
    block_rows: tuple[int | None, int | None] = (None, None),
) -> RetrievalMetrics:
    """Ranks the gallery for every query, and scores the ranking.

    Args:
      query: features [num_queries, D]: NumPy (also memory-mapped) or a jax.Array, on
        any devices, but whole in each process. Converted to float32.
      query_labels: integer labels of the queries.
      gallery: features [num_gallery, D], NumPy or a jax.Array. The latter may be
        split by rows over devices; rows on devices of the mesh stay there.
      gallery_labels: integer labels of the gallery.
      rule: a key of `RULES`; it defines true matches and junk.
      ranks: the k of the CMC, each at least 1.
      metric: "cosine" or "euclidean".
      dtype: "float32" multiplies features in full precision on every backend,
        "bfloat16" faster and less exactly on GPU and TPU. Sums are float32.
      mesh: its devices share the gallery; None: all devices.
      reranking: the result of `rerank` for the same features.
      block_rows: the most queries and the most gallery rows of one product, rounded
        up to powers of two; None: chosen by the width. Memory beside the features:
        on each device about `KEPT_BYTES` and a few blocks, on an accelerator also up
        to `blocks.RESIDENT_BYTES` of the gallery; a few dozen bytes per gallery row.

    Raises:
      ValueError: features or labels are empty, not finite or do not fit together; a
        row is all zeros under cosine; the rule, metric or dtype is unknown; a rank
        is below 1.
    """
    query, gallery = check_pair(query, gallery)
    query_labels = check_labels("query_labels", query_labels, len(query))
    gallery_labels = check_labels("gallery_labels", gallery_labels, len(gallery))
    ranks, block_rows = check_ranks(ranks), check_block_rows(block_rows)
    check_metric(metric)
    check_reranking(reranking, query, gallery, metric)
    dtype = check_dtype(dtype)
    mesh = all_devices(mesh)
    match, junk = matches_and_junk(query_labels, gallery_labels, rule)
    # Queries with similar numbers of matches share a block, and a group within it.
    # Those without a match are checked, but not ranked.
    order = np.argsort(-match.counts, kind="stable")
    ranked, dropped = np.split(order, [np.sum(match.counts > 0)])
    in_blocks = (mesh, metric, dtype, block_rows[0])
    blocks = Gallery(gallery, mesh, metric, dtype, block_rows[1])
    for _ in query_blocks(query, dropped, *in_blocks):
        pass
    if not len(ranked):
        blocks.check_all()
    counter = _RankCounter(blocks, match, junk, reranking)
    rank_NxM = np.zeros(match.indices.shape, np.int32)
    for chosen, block in query_blocks(query, ranked, *in_blocks):
        rank_NxM[chosen] = counter.ranks(chosen, block)
    return _summary(rank_NxM, match.counts, ranks)


class _RankCounter:
    """Ranks true matches, one block of queries at a time."""

    def __init__(
        self,
        gallery: Gallery,
        match: Lists,
        junk: Lists,
        reranking: Reranking | None,
    ):
        self._gallery = gallery
        self._match, self._junk, self._reranking = match, junk, reranking
        self._programs = counting.programs(gallery.mesh, gallery.metric)
        self._capacity = 0  # never shrinks, so that few sizes are compiled

    def ranks(self, chosen: np.ndarray, query: QueryBlock) -> np.ndarray:
        """Returns the rank of each match of the queries, int32 [len(chosen), M]."""
        gallery, run, size = self._gallery, self._programs, len(query.rows_BxD)
        match_BxM = self._match.rows(chosen, size)
        junk_BxJ = self._junk.rows(chosen, size)
        group_max = counting.group_maxima(self._match.counts[chosen], size)
        match, junk, group_max = (
            put(x, gallery.mesh, WHOLE) for x in (match_BxM, junk_BxJ, group_max)
        )
        table = counting.EntryTable(np.hstack([match_BxM, junk_BxJ]), gallery.bounds)
        if counting.on_cpu(gallery.mesh):
            entries_of, capacity = table.entries, table.capacity()
        else:
            entries_of, capacity = table.lists, table.longest()
        self._capacity = max(self._capacity, capacity)
        found = filled(gallery.mesh, table.shape, counting.NOT_FOUND, np.int32)
        count = filled(gallery.mesh, match_BxM.shape, 0, np.int32)

        shape = size, gallery.block_rows
        rescaling = Rescaling(self._reranking, chosen, shape, gallery.mesh)
        kept = {}
        for step, bounds in enumerate(gallery.bounds):
            if table.is_empty(step):
                continue
            block = gallery.load(step)
            entries = entries_of(step, gallery.mesh, self._capacity)
            rescaled = rescaling.scale_and_offset(bounds)
            keys, found, count = run.product_and_find(
                query, block, *rescaled, entries, found, count
            )
            if (len(kept) + 1) * 4 * size * gallery.block_rows <= KEPT_BYTES:
                kept[step] = keys, block._replace(rows_nGxD=None)
            gallery.throttle(found)
        found = run.merge(found)
        for step, bounds in enumerate(gallery.bounds):
            if step in kept:
                count = run.count(*kept.pop(step), found, match, group_max, count)
            else:
                block = gallery.load(step)
                rescaled = rescaling.scale_and_offset(bounds)
                count = run.product_and_count(
                    query, block, *rescaled, found, match, group_max, count
                )
            gallery.throttle(count)
        gallery.check()
        max_junk = int(self._junk.counts[chosen].max())
        ranks = run.ranks(count, found, match, junk, max_junk)
        return np.asarray(ranks)[: len(chosen)]


def _summary(rank_NxM, num_matches, ranks) -> RetrievalMetrics:
    """Computes the metrics from the rank of every true match."""
    slot = np.arange(rank_NxM.shape[1])
    empty_NxM = slot >= num_matches[:, None]
    rank_NxM = np.where(empty_NxM, np.iinfo(np.int32).max, rank_NxM)
    rank_NxM = np.sort(rank_NxM, axis=1).astype(np.int64)
    precision_NxM = np.where(empty_NxM, 0, (slot + 1) / rank_NxM)
    valid = num_matches > 0
    divisor = np.where(valid, num_matches, 1)
    average_precision = np.where(valid, precision_NxM.sum(axis=1) / divisor, np.nan)
    last_rank = rank_NxM[np.arange(len(rank_NxM)), divisor - 1]
    first_match_rank = np.where(valid, rank_NxM[:, 0], 0)
    num_queries = int(valid.sum())

    def mean(values: np.ndarray) -> float:
        return float(values[valid].mean()) if num_queries else float("nan")

    return RetrievalMetrics(
        mAP=mean(average_precision),
        mINP=mean(num_matches / last_rank),
        cmc={k: mean(first_match_rank <= k) for k in ranks},
        num_queries=num_queries,
        average_precision=average_precision,
        first_match_rank=first_match_rank,
    )
