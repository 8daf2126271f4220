"""Which items a block of queries asks for, gallery block by gallery block."""

import jax
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.retrieval.blocks import power_of_two
from mbnet_jax.retrieval.placing import SHARDED, put

CHUNK = 256  # entries read out at a time


class EntryTable:
    """The gallery items that a block of B queries asks for, by gallery index."""

    def __init__(self, index_BxS: np.ndarray):
        """Takes each query's gallery indices, -1 where a slot is empty."""
        self.shape = index_BxS.shape
        row, slot = np.nonzero(index_BxS >= 0)
        index = index_BxS[row, slot]
        order = np.argsort(index, kind="stable")
        self._entries = np.stack([row, slot, index])[:, order].astype(np.int32)

    def counts(self, own_nx3: np.ndarray) -> np.ndarray:
        """How many entries each device's block has, given its bounds, int [n]."""
        first, stop = self._places(own_nx3)
        return stop - first

    def capacity(self, bounds: list[np.ndarray]) -> int:
        """Entries that are enough for each device's block in any of the steps."""
        most = max(self.counts(own_nx3).max() for own_nx3 in bounds)
        return power_of_two(int(most), CHUNK)

    def _places(self, own_nx3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, fresh, stop = own_nx3.T
        index = self._entries[2]
        return np.searchsorted(index, fresh), np.searchsorted(index, stop)

    def of(self, own_nx3: np.ndarray, mesh: Mesh, capacity: int) -> jax.Array:
        """What is to be read out of each device's block, int32 [n, 3, capacity].

        Rows are the query's place in its block (past the end in padding), the item's
        slot, and its gallery index.
        """
        entries_nx3xE = np.zeros((len(own_nx3), 3, capacity), np.int32)
        entries_nx3xE[:, 0] = self.shape[0]
        for lane, (first, stop) in enumerate(zip(*self._places(own_nx3), strict=True)):
            entries_nx3xE[lane, :, : stop - first] = self._entries[:, first:stop]
        return put(entries_nx3xE, mesh, SHARDED)
