"""Ranked lists of the nearest gallery items, exact, block by block."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mbnet_jax.retrieval import blocks
from mbnet_jax.retrieval.labels import Labels, check_labels, matches_and_junk


class RankedLists(NamedTuple):
    """The nearest kept gallery items of each query, nearest first.

    A query with fewer than k kept items has index -1, similarity -inf and
    correct False in the rest of its row.
    """

    indices: np.ndarray  # int32 [num_queries, k]
    similarities: np.ndarray  # float32 [num_queries, k], cosine
    correct: np.ndarray  # bool [num_queries, k]


def top_k(
    query: np.ndarray, gallery: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest gallery rows of each query by cosine similarity.

    Args:
      query: features [num_queries, D].
      gallery: features [num_gallery, D].
      k: at least 1, at most num_gallery.

    Returns:
      similarities float32 [num_queries, k], descending, and gallery indices
      int32 [num_queries, k]; equal similarities are in gallery order.

    Raises:
      ValueError: features do not fit, are empty or have no direction; k is out
        of range.
    """
    query, gallery = blocks.check_pair(query, gallery)
    no_junk = np.full((len(query), 1), -1, np.int32)
    return _nearest(query, gallery, no_junk, k)


def ranked_lists(
    query: np.ndarray,
    query_labels: Labels,
    gallery: np.ndarray,
    gallery_labels: Labels,
    *,
    rule: str = "general",
    k: int = 10,
) -> RankedLists:
    """The k nearest gallery items of each query that the rule keeps.

    Arguments and errors are those of `retrieval_metrics` and `top_k`.
    """
    query, gallery = blocks.check_pair(query, gallery)
    query_labels = check_labels("query_labels", query_labels, len(query))
    gallery_labels = check_labels("gallery_labels", gallery_labels, len(gallery))
    _, junk = matches_and_junk(query_labels, gallery_labels, rule)
    similarities, indices = _nearest(query, gallery, junk.indices, k)
    indices = np.where(np.isneginf(similarities), -1, indices)
    # Of the query's person only true matches are left.
    correct = gallery_labels.pid[indices] == query_labels.pid[:, None]
    return RankedLists(indices, similarities, correct & (indices >= 0))


def _nearest(query, gallery, junk, k) -> tuple[np.ndarray, np.ndarray]:
    """Similarities and indices [num_queries, k]; junk comes last, at -inf."""
    if not 1 <= k <= len(gallery):
        raise ValueError(f"k must be from 1 to the gallery's {len(gallery)}, got {k}")
    query_rows = blocks.block_size(len(query), blocks.QUERY_BLOCK, blocks.QUERY_STEP)
    gallery_rows = blocks.block_size(
        len(gallery), blocks.GALLERY_BLOCK, blocks.GALLERY_STEP
    )
    gallery_blocks = blocks.gallery_blocks(gallery, gallery_rows)
    query_blocks = blocks.query_blocks(query, np.arange(len(query)), query_rows)
    similarities, indices = [], []
    for number, query_block in enumerate(query_blocks):
        chosen = junk[number * query_rows :][:query_rows]
        junk_BxJ = blocks.pad_indices(chosen, query_rows)
        best_BxK = np.full((query_rows, k), blocks.REMOVED)
        index_BxK = np.full((query_rows, k), -1, np.int32)
        for gallery_block in gallery_blocks:
            best_BxK, index_BxK = _better(
                query_block, gallery_block, junk_BxJ, best_BxK, index_BxK
            )
        best_BxK = blocks.from_order_key(best_BxK)
        similarities.append(np.asarray(best_BxK)[: len(chosen)])
        indices.append(np.asarray(index_BxK)[: len(chosen)])
    return np.concatenate(similarities), np.concatenate(indices)


@jax.jit
def _better(query_block, gallery_block, junk_BxJ, best_BxK, index_BxK):
    """The best k of those so far and of one more gallery block."""
    key_BxG = blocks.kept_similarities(query_block, gallery_block, junk_BxJ)
    column_G = gallery_block.start + jnp.arange(key_BxG.shape[1], dtype=jnp.int32)
    # Of equal values top_k takes the first: those so far precede in the gallery.
    candidate = jnp.concatenate([best_BxK, key_BxG], axis=1)
    index = jnp.concatenate(
        [index_BxK, jnp.broadcast_to(column_G, key_BxG.shape)], axis=1
    )
    best_BxK, place_BxK = lax.top_k(candidate, best_BxK.shape[1])
    return best_BxK, jnp.take_along_axis(index, place_BxK, axis=1)
