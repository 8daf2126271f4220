"""Re-ranked distances, held sparsely, and as block products apply them."""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np
from jax.sharding import Mesh
from scipy import sparse

from mbnet_jax.refusals import shown
from mbnet_jax.retrieval.arguments import Features, array_of, check_share
from mbnet_jax.retrieval.blocks import SHARDED, WHOLE, put

_TERMS = 2**18  # of sums of minima that are held at a time


@dataclasses.dataclass(frozen=True)
class Reranking:
    """Re-ranked distances of Q queries to G gallery items; N = Q + G images.

    The distance of query q and gallery item g is
    (1 - lambda_value) * (1 - overlap[q, g]) + lambda_value * d(q, g) / farthest[q]
    where d is the squared Euclidean distance (for cosine, of the normalised rows:
    2 - 2 cos), and the overlap is 1 - Jaccard distance, which is 0 for most pairs.

    Attributes:
      lambda_value: the weight of the original distance, in 0..1.
      farthest: float32 [Q], greatest d of the query to any image of query and
        gallery; 1 where that is 0.
      weights: float32 sparse [Q, N], each query's weights on the images around it.
      having: float32 sparse [N, G], the gallery items' weights on each image.
      metric: of d, "cosine" or "euclidean".
    """

    lambda_value: float
    farthest: np.ndarray
    weights: sparse.csr_array
    having: sparse.csr_array
    metric: str

    def overlap(self, queries: np.ndarray) -> sparse.csr_array:
        """Computes the overlaps of some queries, int [n]: sparse float32 [n, G].

        The overlap is m / (2 - m), m being the sum of the minima of two images'
        weights. Memory: 8 bytes per pair of a query and a gallery item that have
        weight on a common image.

        Raises:
          ValueError: `queries` are not indices of queries.
        """
        queries = array_of("queries", queries)
        if queries.ndim != 1 or queries.dtype.kind not in "iu":
            raise ValueError(f"queries must be indices int [n], got {shown(queries)}")
        if len(queries) and not 0 <= queries.min() <= queries.max() < len(
            self.farthest
        ):
            raise ValueError(
                f"queries must be from 0 to {len(self.farthest) - 1}, got "
                f"{queries.min()} to {queries.max()}"
            )
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


def check_reranking(
    reranking: Reranking | None, query: Features, gallery: Features, metric: str
) -> None:
    """Checks a re-ranking.

    Raises:
      ValueError: it is not the result of `rerank`, or is one for another metric or for
        other numbers of rows.
    """
    if reranking is None:
        return
    if not isinstance(reranking, Reranking):
        raise ValueError(
            f"reranking must be what rerank() returned, or None, got {shown(reranking)}"
        )
    _check_parts(reranking)
    if reranking.metric != metric:
        raise ValueError(
            f"reranking was computed with metric={reranking.metric!r}, not {metric!r}; "
            "use the same metric"
        )
    queries, items = len(reranking.farthest), reranking.having.shape[1]
    if (queries, items) != (len(query), len(gallery)):
        raise ValueError(
            f"reranking is for {queries} queries and {items} gallery items, but there "
            f"are {len(query)} and {len(gallery)}; compute it from the same features"
        )


def _check_parts(reranking: Reranking) -> None:
    """Raises a ValueError unless the attributes are as documented."""
    check_share("reranking.lambda_value", reranking.lambda_value)
    farthest = reranking.farthest
    if not isinstance(farthest, np.ndarray) or farthest.dtype != np.float32:
        raise ValueError(
            f"reranking.farthest must be a float32 array [Q], got {shown(farthest)}"
        )
    for name in ("weights", "having"):
        part = getattr(reranking, name)
        if not isinstance(part, sparse.csr_array) or part.dtype != np.float32:
            raise ValueError(
                f"reranking.{name} must be a float32 sparse.csr_array, "
                f"got {shown(part)}"
            )
    images = farthest.size + reranking.having.shape[1]
    for name, found, shape in (
        ("farthest", farthest.shape, (farthest.size,)),
        ("weights", reranking.weights.shape, (farthest.size, images)),
        ("having", reranking.having.shape, (images, reranking.having.shape[1])),
    ):
        if found != shape:
            raise ValueError(
                f"reranking.{name} has shape {list(found)} instead of {list(shape)}; "
                "use what rerank() returned"
            )
    if not (farthest > 0).all() or not np.isfinite(farthest).all():
        raise ValueError("reranking.farthest must be finite and above 0")


class Rescaling:
    """Turns the values of one block of queries into negated re-ranked distances.

    They are -(squared distance * scale) + offset. Without a re-ranking, scale and
    offset are None.
    """

    def __init__(
        self,
        reranking: Reranking | None,
        chosen: np.ndarray,
        shape: tuple[int, int],
        mesh: Mesh,
    ):
        """Takes the block's query indices, and the shape [B, G] of its products."""
        self._reranking, self._shape, self._mesh = reranking, shape, mesh
        if reranking is None:
            return
        self._overlap = reranking.overlap(chosen).tocsc()
        scale_B = np.zeros(shape[0], np.float32)
        scale_B[: len(chosen)] = reranking.lambda_value / reranking.farthest[chosen]
        self._scale_B = put(scale_B, mesh, WHOLE)

    def scale_and_offset(
        self, bounds_nx3: np.ndarray
    ) -> tuple[jax.Array | None, jax.Array | None]:
        """Returns the scale float32 [B] and offset float32 [n, B, G] of one step.

        Args:
          bounds_nx3: first, fresh and stop index of each device's gallery block.
        """
        if self._reranking is None:
            return None, None
        overlap_nxBxG = np.zeros((len(bounds_nx3), *self._shape), np.float32)
        for lane, (first, _, stop) in enumerate(bounds_nx3):
            part = self._overlap[:, first:stop]
            overlap_nxBxG[lane, : part.shape[0], : part.shape[1]] = part.toarray()
        offset_nxBxG = (1 - self._reranking.lambda_value) * (overlap_nxBxG - 1)
        return self._scale_B, put(offset_nxBxG, self._mesh, SHARDED)
