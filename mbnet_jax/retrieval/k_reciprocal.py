"""k-reciprocal re-ranking on sparse neighbour lists.

Zhong et al., "Re-ranking person re-identification with k-reciprocal encoding",
CVPR 2017. The original fills dense arrays with a row and a column per image. But an
image has weights only on the few images of its reciprocal set, so sparse rows give the
same numbers, and memory grows with the number of images instead of its square.

Images are numbered queries first, then the gallery. The features are never joined in
one array, and no array has an entry for every pair of images.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh
from scipy import sparse

from mbnet_jax.retrieval.arguments import (
    Features,
    check_count,
    check_metric,
    check_pair,
    check_share,
)
from mbnet_jax.retrieval.features import take_rows
from mbnet_jax.retrieval.ranking import Nearest, nearest
from mbnet_jax.retrieval.reranking import Reranking

K1, K2, LAMBDA = 20, 6, 0.3  # the original's

_IMAGES = 1024  # whose reciprocal sets are expanded at a time
_STEP = 8  # lengths of neighbour lists are multiples, so that few are compiled
_PAIRS = 4096  # pairs of images whose features are held at a time


class Neighbours(NamedTuple):
    """The nearest images of each of N images; distances are squared Euclidean."""

    indices: np.ndarray  # int32 [N, length], the image itself, then the nearest
    distances: np.ndarray  # float32 [N, length], 0 at the image itself
    farthest: np.ndarray  # float32 [N], to any image; 1 where all are equal


def rerank(
    query: Features,
    gallery: Features,
    *,
    k1: int = K1,
    k2: int = K2,
    lambda_value: float = LAMBDA,
    metric: str = "cosine",
    mesh: Mesh | None = None,
) -> Reranking:
    """Compares the neighbourhoods of queries and gallery items.

    Queries are each other's neighbours too, so the distances of one query depend on
    the other queries. Memory: a few hundred bytes x k1 per image.

    Args:
      query: features [Q, D], converted to float32.
      gallery: features [G, D].
      k1: number of an image's neighbours that are searched for reciprocal ones, from
        1 to Q + G - 1.
      k2: number of nearest images, the image itself included, whose weights are
        averaged, from 1 (no averaging) to Q + G.
      lambda_value: the weight of the original distance, in 0..1.
      metric: "cosine" or "euclidean".
      mesh: its devices share the work; None: all devices.

    Raises:
      ValueError: features are empty, not finite or do not fit together; the metric is
        unknown; k1, k2 or lambda_value is out of range.
    """
    query, gallery = check_pair(query, gallery)
    images = len(query) + len(gallery)
    k1 = check_count("k1", k1, images - 1, "other images of query and gallery")
    k2 = check_count("k2", k2, images, "images of query and gallery")
    lambda_value = check_share("lambda_value", lambda_value)
    check_metric(metric)
    near = _neighbours(query, gallery, max(k1 + 1, k2), metric, mesh)
    # The original's np.around rounds half to even; so does Python's round.
    closest = _reciprocal(near.indices[:, : round(k1 / 2) + 1])
    sets = _expanded(_reciprocal(near.indices[:, : k1 + 1]), closest)
    distances = functools.partial(_pair_distances, query, gallery, metric)
    weights = _weights(sets, near, distances)
    weights = _listed(near.indices[:, :k2], np.float32) @ weights
    weights.data /= k2
    return Reranking(
        lambda_value,
        near.farthest[: len(query)],
        weights[: len(query)],
        weights[len(query) :].T.tocsr(),
        metric,
    )


def _neighbours(
    query: Features, gallery: Features, length: int, metric: str, mesh: Mesh | None
) -> Neighbours:
    """Returns the first `length`, at most N, of each image's ranking of all images.

    The image itself comes first; of equal distances, the lower number does.
    """
    num_queries = len(query)

    def nearest_of(rows, part, start):
        k = min(-(-length // _STEP) * _STEP, len(part))
        values, indices, lowest = nearest(rows, part, k, metric=metric, mesh=mesh)
        return Nearest(values, indices + np.int32(start), lowest)

    # Query against gallery first: errors then name the side of a bad row correctly.
    query_gallery = nearest_of(query, gallery, num_queries)
    query_query = nearest_of(query, query, 0)
    gallery_query = nearest_of(gallery, query, 0)
    gallery_gallery = nearest_of(gallery, gallery, num_queries)
    parts = [
        _merged(0, query_query, query_gallery, length, metric),
        _merged(num_queries, gallery_query, gallery_gallery, length, metric),
    ]
    return Neighbours(*map(np.concatenate, zip(*parts, strict=True)))


def _merged(
    start: int, to_query: Nearest, to_gallery: Nearest, length: int, metric: str
) -> Neighbours:
    """Merges the lists of the images that are numbered from `start`."""
    values = np.hstack([to_query.values, to_gallery.values])
    indices = np.hstack([to_query.indices, to_gallery.indices])
    # Among many duplicates, the list of an image may not include the image itself.
    itself = np.arange(start, start + len(values), dtype=np.int32)[:, None]
    values = np.where(indices == itself, -np.inf, values)
    order = np.argsort(-values, axis=1, kind="stable")[:, : length - 1]
    distances = _squared(np.take_along_axis(values, order, axis=1), metric)
    farthest = _squared(np.minimum(to_query.lowest, to_gallery.lowest), metric)
    return Neighbours(
        np.hstack([itself, np.take_along_axis(indices, order, axis=1)]),
        np.hstack([np.zeros_like(distances, shape=itself.shape), distances]),
        np.where(farthest > 0, farthest, np.float32(1)),
    )


def _pair_distances(
    query: Features,
    gallery: Features,
    metric: str,
    first: np.ndarray,
    second: np.ndarray,
) -> np.ndarray:
    """Returns squared distances, float32 [n], of pairs of images, int [n] each."""
    distance = np.empty(len(first), np.float32)
    for start in range(0, len(first), _PAIRS):
        chunk = slice(start, start + _PAIRS)
        one, two = (_take(query, gallery, side[chunk]) for side in (first, second))
        if metric == "cosine":
            length = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
            cosine = np.einsum("nd,nd->n", one, two) / length
            distance[chunk] = _squared(cosine, metric)
        else:
            distance[chunk] = np.square(one - two).sum(axis=1)
    return distance


def _squared(value: np.ndarray, metric: str) -> np.ndarray:
    """Converts the values of `nearest` to squared distances."""
    # Rounding may put two equal images below 0.
    return np.maximum(2 - 2 * value if metric == "cosine" else -value, 0)


def _take(query: Features, gallery: Features, images: np.ndarray) -> np.ndarray:
    """Returns the features of some images, float32 [n, D]."""
    rows = np.empty((len(images), query.shape[1]), np.float32)
    queries = images < len(query)
    rows[queries] = take_rows(query, images[queries])
    rows[~queries] = take_rows(gallery, images[~queries] - len(query))
    return rows


def _listed(lists: np.ndarray, dtype: type = np.int32) -> sparse.csr_array:
    """[N, N] with 1 where a row's list has the column."""
    num_rows, width = lists.shape
    indptr = np.arange(num_rows + 1) * width
    data = np.ones(lists.size, dtype)
    return sparse.csr_array((data, lists.ravel(), indptr), (num_rows, num_rows))


def _reciprocal(lists: np.ndarray) -> sparse.csr_array:
    """[N, N] with 1 where two images are each in the other's list."""
    listed = _listed(lists)
    return listed.multiply(listed.T).tocsr()


def _expanded(
    reciprocal: sparse.csr_array, closest: sparse.csr_array
) -> sparse.csr_array:
    """Joins to each reciprocal set the sets of its members that fit into it.

    A member's set, its row of `closest`, fits if over 2/3 of it are in the image's.
    """
    size = closest.sum(axis=1)
    parts = []
    for start in range(0, reciprocal.shape[0], _IMAGES):
        own = reciprocal[start : start + _IMAGES]
        common = (own @ closest).multiply(own).tocsr()
        common.data = (3 * common.data > 2 * size[common.indices]).astype(np.int32)
        common.eliminate_zeros()
        parts.append(own + common @ closest)
    return sparse.vstack(parts, format="csr")


def _weights(
    sets: sparse.csr_array,
    near: Neighbours,
    distances: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> sparse.csr_array:
    """[N, N]: each image's weights on its set, exp(-distance), normalised to sum 1.

    `distances` computes those that are not in the neighbour lists.
    """
    num_images = len(near.indices)
    image = np.repeat(np.arange(num_images), np.diff(sets.indptr))
    pair = image * num_images + sets.indices
    listed = np.arange(num_images)[:, None] * num_images + near.indices
    order = np.argsort(listed, axis=None)
    listed = listed.ravel()[order]
    position = np.minimum(np.searchsorted(listed, pair), listed.size - 1)
    distance = near.distances.ravel()[order[position]]
    missing = listed[position] != pair
    distance[missing] = distances(image[missing], sets.indices[missing])
    weight = np.exp(-distance / near.farthest[image])
    # No set is empty: each contains the image itself.
    total = np.add.reduceat(weight, sets.indptr[:-1])
    return sparse.csr_array((weight / total[image], sets.indices, sets.indptr))
