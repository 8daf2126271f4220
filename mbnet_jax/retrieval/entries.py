"""Which items a block of queries asks for, gallery block by gallery block."""

import jax
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.retrieval.placing import SHARDED, put
from mbnet_jax.retrieval.sizes import power_of_two

CHUNK = 1024  # entries read out at a time


class EntryTable:
    """The gallery items that a block of B queries asks for, by gallery block."""

    def __init__(self, index_BxS: np.ndarray, own: list[np.ndarray]):
        """Takes each query's gallery indices, -1 where a slot is empty.

        `own` are the bounds of the gallery's blocks, int [n, 3] a step.
        """
        self.shape = index_BxS.shape
        self._num_devices = len(own[0])
        row, slot = np.nonzero(index_BxS >= 0)
        index = index_BxS[row, slot]
        _, fresh, stop = np.concatenate(own).T
        ascending = np.lexsort((stop, fresh))  # an empty block before its like
        place = np.searchsorted(fresh[ascending], index, side="right") - 1
        block = ascending[place].astype(np.min_scalar_type(len(fresh)))
        order = np.argsort(block, kind="stable")
        self._entries = np.stack([row, slot, index])[:, order].astype(np.int32)
        self._counts = np.bincount(block, minlength=len(fresh))
        self._stops = np.cumsum(self._counts)

    def asked(self, step: int) -> bool:
        """Whether any device's block of a step has entries."""
        return self._counts[self._blocks(step)].any()

    def capacity(self) -> int:
        """Entries that are enough for any block."""
        return power_of_two(int(self._counts.max()), CHUNK)

    def _blocks(self, step: int) -> slice:
        return slice(step * self._num_devices, (step + 1) * self._num_devices)

    def of(self, step: int, mesh: Mesh, capacity: int) -> jax.Array:
        """What is to be read out of each device's block, int32 [n, 3, capacity].

        Rows are the query's place in its block (past the end in padding), the item's
        slot, and its gallery index.
        """
        entries_nx3xE = np.zeros((self._num_devices, 3, capacity), np.int32)
        entries_nx3xE[:, 0] = self.shape[0]
        own = self._blocks(step)
        parts = zip(self._counts[own], self._stops[own], strict=True)
        for lane, (count, stop) in enumerate(parts):
            entries_nx3xE[lane, :, :count] = self._entries[:, stop - count : stop]
        return put(entries_nx3xE, mesh, SHARDED)
