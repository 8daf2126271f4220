"""Re-ranked distances, of which only those that are not plain are listed."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Reranking:
    """Re-ranked distances of Q queries to the gallery, the nearby part of them.

    The distance of query q and gallery item g is
    (1 - lambda_value) * (1 - overlap[q, g]) + lambda_value * d(q, g) / farthest[q]
    where d is the squared Euclidean distance (cosine: of unit rows, 2 - 2 cos), and
    the overlap is 1 - Jaccard distance, 0 for most pairs: rows of a CSR matrix.

    Attributes:
      lambda_value: the weight of the original distance, in 0..1.
      farthest: float32 [Q], greatest d of the query to any image of query and
        gallery; 1 where that is 0.
      indptr: int64 [Q + 1], where each query's entries start and end.
      indices: int32 [n], gallery indices, ascending within a query.
      values: float32 [n], the overlaps, in 0..1 and not 0.
    """

    lambda_value: float
    farthest: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray
