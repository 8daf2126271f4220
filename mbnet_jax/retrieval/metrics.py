"""mAP, mINP and CMC without sorting: a rank is a count.

The rank of a true match is one more than the number of kept gallery items that
are nearer to the query; of equal similarities, the lower gallery index is
nearer. So for each block of queries: the products with all gallery blocks are
taken once, the similarities of the true matches are read out of these very
products, and nearer items are counted block by block.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mbnet_jax.retrieval import blocks
from mbnet_jax.retrieval.labels import Labels, check_labels, matches_and_junk


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
    query: np.ndarray,
    query_labels: Labels,
    gallery: np.ndarray,
    gallery_labels: Labels,
    *,
    rule: str = "general",
    ranks: Sequence[int] = (1, 5, 10, 20),
    block_rows: tuple[int, int] = (blocks.QUERY_BLOCK, blocks.GALLERY_BLOCK),
) -> RetrievalMetrics:
    """Ranks the gallery for every query by cosine similarity, and judges it.

    Args:
      query: features [num_queries, D], any length of row; computed in float32.
      query_labels: integer labels of the queries.
      gallery: features [num_gallery, D].
      gallery_labels: integer labels of the gallery.
      rule: a key of `RULES`: what is a match, and what is thrown out.
      ranks: the k of the CMC, each at least 1.
      block_rows: most queries and most gallery rows of one product. Memory
        beside the gallery: 4 bytes x block_rows[0] x num_gallery.

    Raises:
      ValueError: features or labels do not fit, are empty or not finite; a row
        is all zeros; the rule is unknown; a rank is below 1.
    """
    query, gallery = blocks.check_pair(query, gallery)
    query_labels = check_labels("query_labels", query_labels, len(query))
    gallery_labels = check_labels("gallery_labels", gallery_labels, len(gallery))
    if not len(ranks) or min(ranks) < 1:
        raise ValueError(f"ranks must be whole numbers from 1, got {tuple(ranks)}")
    if min(block_rows) < 1:
        raise ValueError(f"block_rows must be at least 1, got {tuple(block_rows)}")
    match, junk = matches_and_junk(query_labels, gallery_labels, rule)
    rank_NxM = _match_ranks(query, gallery, match, junk, block_rows)
    return _summary(rank_NxM, match.counts, ranks)


def _match_ranks(query, gallery, match, junk, block_rows) -> np.ndarray:
    """Rank of each true match, int32 [num_queries, M]; undefined in padding."""
    rank_NxM = np.zeros(match.indices.shape, np.int32)
    # Queries of like numbers of matches share a block, so that few slots of a
    # block are empty; those without any are checked, and not ranked.
    order = np.argsort(match.counts, kind="stable")
    dropped, ranked = np.split(order, [np.sum(match.counts == 0)])
    query_rows = blocks.block_size(
        max(len(ranked), 1), block_rows[0], blocks.QUERY_STEP
    )
    gallery_rows = blocks.block_size(len(gallery), block_rows[1], blocks.GALLERY_STEP)
    gallery_blocks = blocks.gallery_blocks(gallery, gallery_rows)
    for _ in blocks.query_blocks(query, dropped, query_rows):
        pass
    query_blocks = blocks.query_blocks(query, ranked, query_rows)
    for number, query_block in enumerate(query_blocks):
        chosen = ranked[number * query_rows :][:query_rows]
        match_BxM = blocks.pad_indices(match.indices[chosen], query_rows)
        junk_BxJ = blocks.pad_indices(junk.indices[chosen], query_rows)
        found_BxM = np.full(match_BxM.shape, blocks.REMOVED)
        strip = []  # this query block against each gallery block
        for gallery_block in gallery_blocks:
            key_BxG, found_BxM = _product_and_matches(
                query_block, gallery_block, junk_BxJ, match_BxM, found_BxM
            )
            strip.append(key_BxG)
        count_BxM = np.zeros(match_BxM.shape, np.int32)
        most = match.counts[chosen].max()
        for gallery_block, key_BxG in zip(gallery_blocks, strip, strict=True):
            count_BxM = _add_nearer(
                count_BxM, key_BxG, gallery_block.start, match_BxM, found_BxM, most
            )
        rank_NxM[chosen] = 1 + np.asarray(count_BxM)[: len(chosen)]
    return rank_NxM


@jax.jit
def _product_and_matches(query_block, gallery_block, junk_BxJ, match_BxM, found_BxM):
    """Order keys of a block [B, G], and of the matches found there [B, M]."""
    key_BxG = blocks.kept_similarities(query_block, gallery_block, junk_BxJ)
    column_BxM = match_BxM - gallery_block.start
    own_BxM = (match_BxM >= gallery_block.fresh) & (match_BxM < gallery_block.stop)
    here_BxM = jnp.take_along_axis(key_BxG, column_BxM, axis=1, mode="clip")
    return key_BxG, jnp.where(own_BxM, here_BxM, found_BxM)


@jax.jit
def _add_nearer(count_BxM, key_BxG, start, match_BxM, found_BxM, num_slots):
    """Adds the block's items that are nearer than each of the first matches."""
    # Tiles of columns, added up side by side, use the CPU's vector units; a sum
    # along a row does not. Only in the match's own tile does a tie need a look
    # at the index: before it a tie counts, after it a tie does not.
    width = blocks.GALLERY_STEP
    num_tiles = key_BxG.shape[1] // width
    lane_W = jnp.arange(width)

    def add_slot(slot, count_BxM):
        column_Bx1 = lax.dynamic_slice_in_dim(match_BxM, slot, 1, axis=1) - start
        match_key_Bx1 = lax.dynamic_slice_in_dim(found_BxM, slot, 1, axis=1)
        nearer_BxW = jnp.zeros((len(key_BxG), width), jnp.int32)
        for tile in range(num_tiles):
            tile_BxW = key_BxG[:, tile * width :][:, :width]
            before_Bx1 = column_Bx1 >= (tile + 1) * width
            nearer_BxW += tile_BxW > match_key_Bx1 - before_Bx1
        own_Bx1 = column_Bx1 // width
        own_BxW = jnp.take_along_axis(
            key_BxG, own_Bx1 * width + lane_W, axis=1, mode="clip"
        )
        tied_BxW = (own_BxW == match_key_Bx1) & (lane_W < column_Bx1 % width)
        inside_Bx1 = (own_Bx1 >= 0) & (own_Bx1 < num_tiles)
        nearer_BxW += tied_BxW & inside_Bx1
        # The barrier keeps the two sums apart, as fusing them undoes the first.
        nearer_BxW = lax.optimization_barrier(nearer_BxW)
        return count_BxM.at[:, slot].add(jnp.sum(nearer_BxW, axis=1))

    return lax.fori_loop(0, num_slots, add_slot, count_BxM)


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
