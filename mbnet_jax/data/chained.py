"""The examples of several splits as one data source."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mbnet_jax.data.splits import Split


class Chained(Sequence):
    """The undecoded examples of several splits, one split after another."""

    def __init__(self, splits: Sequence[Split]):
        """Takes the splits, none of which is empty."""
        self._splits = splits
        self._ends = np.cumsum([len(split) for split in splits])

    def __len__(self) -> int:
        """Number of examples."""
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Reads an example. Errors are of any class if the file is damaged."""
        return self.find(index)[1]

    def find(self, index: int) -> tuple[int, dict[str, Any]]:
        """The number of the split that example `index` is in, and the example."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        split = self._splits[number]
        return number, split.example(index - int(self._ends[number]) + len(split))
