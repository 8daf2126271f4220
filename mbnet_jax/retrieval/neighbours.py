"""The nearest images of each image among queries and gallery together.

Images are numbered queries first, then the gallery. The features are never
joined in one array, and no array has an entry for every pair of images.
"""

from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from mbnet_jax.retrieval.features import Features, take_rows
from mbnet_jax.retrieval.ranking import nearest

_STEP = 8  # lengths of lists are whole steps: few are compiled
_PAIRS = 4096  # pairs of images whose features are held at a time


class Neighbours(NamedTuple):
    """The nearest images of each of N images; distances are squared Euclidean."""

    indices: np.ndarray  # int32 [N, places], nearest first, from the image itself on
    distances: np.ndarray  # float32 [N, places], 0 at the image itself
    farthest: np.ndarray  # float32 [N], to any image; 1 where all are the same


def neighbours(
    query: Features, gallery: Features, places: int, metric: str, mesh: Mesh | None
) -> Neighbours:
    """The first `places`, at most N, of each image's ranking of all images.

    The image itself comes first; of equal distances, the lower number does.
    """

    num_queries = len(query)

    def nearest_of(rows, part, start):
        k = min(-(-places // _STEP) * _STEP, len(part))
        values, indices, lowest = nearest(rows, part, k, metric=metric, mesh=mesh)
        return values, indices + np.int32(start), lowest

    # This pair comes first: what is said of a bad row has its right name.
    query_gallery = nearest_of(query, gallery, num_queries)
    query_query = nearest_of(query, query, 0)
    gallery_query = nearest_of(gallery, query, 0)
    gallery_gallery = nearest_of(gallery, gallery, num_queries)
    parts = [
        _merged(0, query_query, query_gallery, places, metric),
        _merged(num_queries, gallery_query, gallery_gallery, places, metric),
    ]
    return Neighbours(*map(np.concatenate, zip(*parts, strict=True)))


def _merged(start, to_query, to_gallery, places, metric) -> Neighbours:
    """Joins the lists of the images that are numbered from `start` on."""
    values, indices = (
        np.hstack(pair) for pair in zip(to_query[:2], to_gallery[:2], strict=True)
    )
    # Among many copies of an image, its own list may lack the image itself.
    itself = np.arange(start, start + len(values), dtype=np.int32)[:, None]
    values = np.where(indices == itself, -np.inf, values)
    order = np.argsort(-values, axis=1, kind="stable")[:, : places - 1]
    distances = _squared(np.take_along_axis(values, order, axis=1), metric)
    farthest = _squared(np.minimum(to_query[2], to_gallery[2]), metric)
    return Neighbours(
        np.hstack([itself, np.take_along_axis(indices, order, axis=1)]),
        np.hstack([np.zeros_like(distances, shape=itself.shape), distances]),
        np.where(farthest > 0, farthest, np.float32(1)),
    )


def pair_distances(
    query: Features,
    gallery: Features,
    metric: str,
    first: np.ndarray,
    second: np.ndarray,
) -> np.ndarray:
    """Squared distances, float32 [n], of n pairs of images, int [n] each."""
    found = np.empty(len(first), np.float32)
    for start in range(0, len(first), _PAIRS):
        chunk = slice(start, start + _PAIRS)
        one, two = (_take(query, gallery, side[chunk]) for side in (first, second))
        if metric == "cosine":
            length = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
            found[chunk] = _squared(np.einsum("nd,nd->n", one, two) / length, metric)
        else:
            found[chunk] = np.square(one - two).sum(axis=1)
    return found


def _squared(value: np.ndarray, metric: str) -> np.ndarray:
    """Squared distances from what `nearest` ranks by."""
    # Rounding may take that of two equal images below 0.
    return np.maximum(2 - 2 * value if metric == "cosine" else -value, 0)


def _take(query, gallery, images: np.ndarray) -> np.ndarray:
    """The features of some images, float32 [n, D]."""
    rows = np.empty((len(images), query.shape[1]), np.float32)
    queries = images < len(query)
    rows[queries] = take_rows(query, images[queries])
    rows[~queries] = take_rows(gallery, images[~queries] - len(query))
    return rows
