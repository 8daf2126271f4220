"""mAP, mINP and CMC without sorting: a rank is a count.

For each block of queries, two passes over the gallery: the first reads out the
values of the true matches, and need only look at the blocks that hold some; the
second counts what is nearer. Products of the first are kept for the second while
they fit into a fixed budget, so that most are taken once.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jax.sharding import Mesh

from mbnet_jax.retrieval import blocks, counting
from mbnet_jax.retrieval.blocks import Gallery, QueryBlock
from mbnet_jax.retrieval.entries import EntryTable
from mbnet_jax.retrieval.features import Features, check_metric, check_pair
from mbnet_jax.retrieval.labels import Labels, Lists, check_labels, matches_and_junk
from mbnet_jax.retrieval.placing import WHOLE, Behind, all_devices, filled, put
from mbnet_jax.retrieval.reranking import Reranking
from mbnet_jax.retrieval.rescaling import Rescaling, check_reranking
from mbnet_jax.retrieval.similarity import check_dtype

# On each device, for keys of the first pass.
KEPT_BYTES = 256 << 20


@dataclasses.dataclass(frozen=True)
class RetrievalMetrics:
    """Means over the queries that have a true match; NaN where none has.

    Attributes:
      mAP: mean average precision, in 0..1. Average precision is the mean of
        the precision at each hit (not interpolated).
      mINP: mean inverse negative penalty, in 0..1: true matches / rank of the
        last one (Ye et al., "Deep learning for person re-identification: a
        survey and outlook", TPAMI 2022).
      cmc: k -> share of queries, in 0..1, with a true match among the first k.
      num_queries: queries that have a true match.
      average_precision: float64 [num_queries_given], NaN where dropped.
      first_match_rank: int64 [num_queries_given], from 1; 0 where dropped.
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
    """Ranks the gallery for every query, and judges the order.

    Args:
      query: features [num_queries, D]: NumPy (also memory-mapped), or a jax.Array,
        on any devices but whole in each process. Computed in float32.
      query_labels: integer labels of the queries.
      gallery: features [num_gallery, D], like the queries; a jax.Array may be split
        by rows over devices, and its rows stay where they are.
      gallery_labels: integer labels of the gallery.
      rule: a key of `RULES`: what is a match, and what is thrown out.
      ranks: the k of the CMC, each at least 1.
      metric: "cosine" or "euclidean".
      dtype: of the products' factors: "float32", multiplied in full precision on
        every backend, or "bfloat16", faster and less exact on GPU and TPU. Sums
        are float32.
      mesh: its devices share the gallery; all there are unless given.
      reranking: what `rerank` made of the same features.
      block_rows: most queries and most gallery rows of one product, each rounded up
        to a power of two; by the width if None. Memory beside the features: on each
        device about `KEPT_BYTES` and a few blocks, on an accelerator also up to
        `blocks.RESIDENT_BYTES` of the gallery; and a few dozen bytes a gallery row.

    Raises:
      ValueError: features or labels do not fit, are empty or not finite; a row is
        all zeros, by cosine; the rule, metric or dtype is unknown; a rank is below 1.
    """
    query, gallery = check_pair(query, gallery)
    query_labels = check_labels("query_labels", query_labels, len(query))
    gallery_labels = check_labels("gallery_labels", gallery_labels, len(gallery))
    if not len(ranks) or min(ranks) < 1:
        raise ValueError(f"ranks must be whole numbers from 1, got {tuple(ranks)}")
    if any(rows is not None and rows < 1 for rows in block_rows):
        raise ValueError(f"block_rows must be at least 1, got {tuple(block_rows)}")
    check_metric(metric)
    check_reranking(reranking, query, gallery)
    dtype = check_dtype(dtype)
    mesh = all_devices(mesh)
    match, junk = matches_and_junk(query_labels, gallery_labels, rule)
    # Queries of like numbers of matches share a block, and within it a group; those
    # without any are checked, and not ranked.
    order = np.argsort(-match.counts, kind="stable")
    ranked, dropped = np.split(order, [np.sum(match.counts > 0)])
    in_blocks = (mesh, metric, dtype, block_rows[0])
    blocks_of_gallery = Gallery(gallery, mesh, metric, dtype, block_rows[1])
    for _ in blocks.query_blocks(query, dropped, *in_blocks):
        pass
    if not len(ranked):
        blocks_of_gallery.check_all()
    ranking = _Ranking(blocks_of_gallery, match, junk, reranking)
    rank_NxM = np.zeros(match.indices.shape, np.int32)
    for chosen, block in blocks.query_blocks(query, ranked, *in_blocks):
        rank_NxM[chosen] = ranking.ranks(chosen, block)
    return _summary(rank_NxM, match.counts, ranks)


class _Ranking:
    """Ranks true matches, one block of queries after another."""

    def __init__(
        self,
        gallery: Gallery,
        match: Lists,
        junk: Lists,
        reranking: Reranking | None,
    ):
        self._gallery = gallery
        self._match, self._junk, self._reranking = match, junk, reranking
        self._run = counting.programs(gallery.mesh, gallery.metric)
        self._capacity = 0  # grows only, so that few sizes are compiled

    def ranks(self, chosen: np.ndarray, query: QueryBlock) -> np.ndarray:
        """Rank of each match of the queries `chosen`, int32 [len(chosen), M]."""
        gallery, run, size = self._gallery, self._run, len(query.rows_BxD)
        match_BxM = _pad(self._match.indices[chosen], size)
        junk_BxJ = _pad(self._junk.indices[chosen], size)
        bounds = counting.group_sizes(self._match.counts[chosen], size)
        match, junk, most = (
            put(x, gallery.mesh, WHOLE) for x in (match_BxM, junk_BxJ, bounds)
        )
        table = EntryTable(np.hstack([match_BxM, junk_BxJ]))
        self._capacity = max(self._capacity, table.capacity(gallery.own))
        found = filled(gallery.mesh, table.shape, counting.NOT_FOUND, np.int32)
        count = filled(gallery.mesh, match_BxM.shape, 0, np.int32)

        shape = size, gallery.block_rows
        rescaling = Rescaling(self._reranking, chosen, shape, gallery.mesh)
        kept = {}
        behind = Behind()
        for step, own in enumerate(gallery.own):
            if not table.counts(own).any():
                continue
            block = gallery.load(step)
            entries = table.of(own, gallery.mesh, self._capacity)
            keys, found, count = run.product_and_find(
                query, block, *rescaling.of(own), entries, found, count
            )
            if (len(kept) + 1) * 4 * size * gallery.block_rows <= KEPT_BYTES:
                kept[step] = keys, block._replace(rows_nGxD=None)
            behind.follow(found)
        found = run.merge(found)
        for step, own in enumerate(gallery.own):
            if step in kept:
                count = run.count(*kept.pop(step), found, match, most, count)
            else:
                block = gallery.load(step)
                rescaled = rescaling.of(own)
                count = run.product_and_count(
                    query, block, *rescaled, found, match, most, count
                )
            behind.follow(count)
        gallery.check()
        most_junk = int(self._junk.counts[chosen].max())
        ranks = run.ranks(count, found, match, junk, most_junk)
        return np.asarray(ranks)[: len(chosen)]


def _pad(indices: np.ndarray, size: int) -> np.ndarray:
    """Index rows [n, width] followed by rows of -1, up to [size, width]."""
    return np.pad(indices, ((0, size - len(indices)), (0, 0)), constant_values=-1)


def _summary(rank_NxM, num_matches, ranks) -> RetrievalMetrics:
    """The metrics, from the rank of every true match."""
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
        cmc={int(k): mean(first_match_rank <= k) for k in ranks},
        num_queries=num_queries,
        average_precision=average_precision,
        first_match_rank=first_match_rank,
    )
