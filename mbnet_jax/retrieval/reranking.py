"""Re-ranked distances, of which only those that are not plain are worked out."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import sparse

_TERMS = 2**18  # of sums of minima that are held at a time


@dataclasses.dataclass(frozen=True)
class Reranking:
    """Re-ranked distances of Q queries to G gallery items; N images in all.

    The distance of query q and gallery item g is
    (1 - lambda_value) * (1 - overlap[q, g]) + lambda_value * d(q, g) / farthest[q]
    where d is the squared Euclidean distance (cosine: of unit rows, 2 - 2 cos), and
    the overlap is 1 - Jaccard distance, 0 for most pairs.

    Attributes:
      lambda_value: the weight of the original distance, in 0..1.
      farthest: float32 [Q], greatest d of the query to any image of query and
        gallery; 1 where that is 0.
      weights: float32 sparse [Q, N], each query's on the images around it.
      having: float32 sparse [N, G], the gallery items' weights on each image.
    """

    lambda_value: float
    farthest: np.ndarray
    weights: sparse.csr_array
    having: sparse.csr_array

    def overlap(self, queries: np.ndarray) -> sparse.csr_array:
        """The overlaps of some queries, int [n], sparse float32 [n, G].

        m / (2 - m), m being the sum of the minima of two images' weights. Memory: 8
        bytes for each query and gallery item that have an image in common.
        """
        start_l, count_l = self.having.indptr[:-1], np.diff(self.having.indptr)
        parts = []
        for rows in _runs(self.weights[queries], count_l):
            count = count_l[rows.indices]
            ends = np.concatenate([[0], np.cumsum(count)])
            shift = start_l[rows.indices] - ends[:-1]
            at = np.arange(ends[-1]) + np.repeat(shift, count)
            minimum = np.minimum(np.repeat(rows.data, count), self.having.data[at])
            shape = (rows.shape[0], self.having.shape[1])
            part = sparse.csr_array(
                (minimum, self.having.indices[at], ends[rows.indptr]), shape
            )
            part.sum_duplicates()
            part.data /= 2 - part.data
            parts.append(part)
        return sparse.vstack(parts, format="csr")


def _runs(query: sparse.csr_array, count_l: np.ndarray) -> Iterator[sparse.csr_array]:
    """Splits the rows into runs of about _TERMS terms, at least one row each."""
    terms = np.concatenate([[0], np.cumsum(count_l[query.indices])])[query.indptr]
    start = 0
    while start < query.shape[0]:
        within = np.searchsorted(terms, terms[start] + _TERMS, side="right") - 1
        stop = max(int(within), start + 1)
        yield query[start:stop]
        start = stop
