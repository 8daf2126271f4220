"""k-reciprocal re-ranking on sparse neighbour lists.

Zhong et al., "Re-ranking person re-identification with k-reciprocal encoding",
CVPR 2017. The original fills dense arrays with a row and a column for every
image. But an image has weights on the few images of its reciprocal set alone,
so the same numbers come from sparse rows, and memory grows with the images.
"""

import functools
from collections.abc import Callable

import numpy as np
from jax.sharding import Mesh
from scipy import sparse

from mbnet_jax.retrieval.features import Features, check_pair
from mbnet_jax.retrieval.neighbours import Neighbours, neighbours, pair_distances
from mbnet_jax.retrieval.reranking import Reranking

K1, K2, LAMBDA = 20, 6, 0.3  # the original's

_IMAGES = 1024  # whose reciprocal sets are expanded at a time


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

    Queries are neighbours of each other too, so the distances of one query depend
    on which others there are. Memory: some hundred bytes x k1 an image.

    Args:
      query: features [Q, D], computed in float32.
      gallery: features [G, D].
      k1: neighbours of an image among which reciprocal ones are looked for, from 1
        to Q + G - 1.
      k2: nearest images, the image itself included, whose weights are averaged,
        from 1 (no averaging) to Q + G.
      lambda_value: the weight of the original distance, in 0..1.
      metric: "cosine" or "euclidean".
      mesh: its devices share the work; None: all devices.

    Raises:
      ValueError: features do not fit, are empty or not finite; the metric is
        unknown; k1, k2 or lambda_value is out of range.
    """
    query, gallery = check_pair(query, gallery)
    images = len(query) + len(gallery)
    _check_count("k1", k1, images - 1, "other images of query and gallery")
    _check_count("k2", k2, images, "images of query and gallery")
    if not 0 <= lambda_value <= 1:
        raise ValueError(f"lambda_value must be from 0 to 1, got {lambda_value}")
    near = neighbours(query, gallery, max(k1 + 1, k2), metric, mesh)
    # np.around is to even, as in the original; Python's round agrees.
    closest = _reciprocal(near.indices[:, : round(k1 / 2) + 1])
    sets = _expanded(_reciprocal(near.indices[:, : k1 + 1]), closest)
    distances = functools.partial(pair_distances, query, gallery, metric)
    weights = _weights(sets, near, distances)
    weights = _listed(near.indices[:, :k2], np.float32) @ weights
    weights.data /= k2
    return Reranking(
        float(lambda_value),
        near.farthest[: len(query)],
        weights[: len(query)],
        weights[len(query) :].T.tocsr(),
    )


def _check_count(name: str, value: int, most: int, of: str) -> None:
    if not isinstance(value, int | np.integer) or not 1 <= value <= most:
        raise ValueError(
            f"{name} must be a whole number from 1 to the {most} {of}, got {value}"
        )


def _listed(lists: np.ndarray, dtype: type = np.int32) -> sparse.csr_array:
    """[N, N] with 1 where a row's list names a column."""
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
    """The reciprocal sets, each joined by those of its members that fit into it.

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
    """[N, N] with each image's weights on its set, exp(-distance), of sum 1.

    Distances that the lists of neighbours lack are asked for.
    """
    num_images = len(near.indices)
    image = np.repeat(np.arange(num_images), np.diff(sets.indptr))
    pair = image * num_images + sets.indices
    listed = np.arange(num_images)[:, None] * num_images + near.indices
    order = np.argsort(listed, axis=None)
    listed = listed.ravel()[order]
    place = np.minimum(np.searchsorted(listed, pair), listed.size - 1)
    distance = near.distances.ravel()[order[place]]
    lacking = listed[place] != pair
    distance[lacking] = distances(image[lacking], sets.indices[lacking])
    weight = np.exp(-distance / near.farthest[image])
    total = np.add.reduceat(weight, sets.indptr[:-1])  # no set lacks the image itself
    return sparse.csr_array((weight / total[image], sets.indices, sets.indptr))
