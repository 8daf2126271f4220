"""A re-ranking as what block products need: a scale a query, an offset a pair."""

import jax
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.retrieval.features import Features
from mbnet_jax.retrieval.placing import SHARDED, WHOLE, put
from mbnet_jax.retrieval.reranking import Reranking


class Rescaling:
    """Minus the re-ranked distance is minus (squared distance x scale) + offset."""

    def __init__(self, reranking: Reranking, query: Features, gallery: Features):
        """Takes a re-ranking of these features.

        Raises:
          ValueError: it was made of others.
        """
        num_queries = len(reranking.farthest)
        farthest_item = int(reranking.indices.max(initial=-1))
        if num_queries != len(query) or farthest_item >= len(gallery):
            raise ValueError(
                f"reranking is of {num_queries} queries and at least "
                f"{farthest_item + 1} gallery items, the features are of "
                f"{len(query)} and {len(gallery)}: make it of the same"
            )
        self._reranking = reranking

    def of(
        self, chosen: np.ndarray, size: int, own_nx3: np.ndarray, width: int, mesh: Mesh
    ) -> tuple[jax.Array, jax.Array]:
        """Scale float32 [size] and offset float32 [n, size, width].

        Args:
          chosen: the queries of the block.
          size: B.
          own_nx3: first, fresh and stop index of each device's gallery block.
          width: G.
          mesh: of n devices.
        """
        of = self._reranking
        scale_B = np.zeros(size, np.float32)
        scale_B[: len(chosen)] = of.lambda_value / of.farthest[chosen]

        counts = np.diff(of.indptr)[chosen]
        row = np.repeat(np.arange(len(chosen)), counts)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        place = of.indptr[chosen][row] + within
        index, value = of.indices[place], of.values[place]
        overlap_nxBxG = np.zeros((len(own_nx3), size, width), np.float32)
        for lane, (first, _, stop) in enumerate(own_nx3):
            here = (index >= first) & (index < stop)
            overlap_nxBxG[lane, row[here], index[here] - first] = value[here]
        offset_nxBxG = (1 - of.lambda_value) * (overlap_nxBxG - 1)
        return put(scale_B, mesh, WHOLE), put(offset_nxBxG, mesh, SHARDED)
