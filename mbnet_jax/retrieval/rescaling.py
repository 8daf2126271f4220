"""A re-ranking as block products need it: a scale a query, an offset a pair."""

import jax
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.retrieval.features import Features
from mbnet_jax.retrieval.placing import SHARDED, WHOLE, put
from mbnet_jax.retrieval.reranking import Reranking


def check_reranking(
    reranking: Reranking | None, query: Features, gallery: Features
) -> None:
    """Raises a ValueError if the re-ranking was made of other features."""
    if reranking is None:
        return
    made_of = len(reranking.farthest), reranking.having.shape[1]
    if made_of != (len(query), len(gallery)):
        raise ValueError(
            f"reranking is of {made_of[0]} queries and {made_of[1]} gallery items, the "
            f"features are of {len(query)} and {len(gallery)}: make it of the same"
        )


class Rescaling:
    """For one block of queries; without a re-ranking, nothing.

    Minus the re-ranked distance is minus (squared distance x scale) + offset.
    """

    def __init__(
        self,
        reranking: Reranking | None,
        chosen: np.ndarray,
        shape: tuple[int, int],
        mesh: Mesh,
    ):
        """Takes the block's queries, and the shape [B, G] of its products."""
        self._reranking, self._shape, self._mesh = reranking, shape, mesh
        if reranking is None:
            return
        self._overlap = reranking.overlap(chosen).tocsc()
        scale_B = np.zeros(shape[0], np.float32)
        scale_B[: len(chosen)] = reranking.lambda_value / reranking.farthest[chosen]
        self._scale_B = put(scale_B, mesh, WHOLE)

    def of(self, own_nx3: np.ndarray) -> tuple[jax.Array | None, jax.Array | None]:
        """Scale float32 [B] and offset float32 [n, B, G], for one step.

        Args:
          own_nx3: first, fresh and stop index of each device's gallery block.
        """
        if self._reranking is None:
            return None, None
        overlap_nxBxG = np.zeros((len(own_nx3), *self._shape), np.float32)
        for lane, (first, _, stop) in enumerate(own_nx3):
            part = self._overlap[:, first:stop]
            overlap_nxBxG[lane, : part.shape[0], : part.shape[1]] = part.toarray()
        offset_nxBxG = (1 - self._reranking.lambda_value) * (overlap_nxBxG - 1)
        return self._scale_B, put(offset_nxBxG, self._mesh, SHARDED)
