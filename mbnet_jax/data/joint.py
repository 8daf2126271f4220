"""The training images of several datasets as one split.

Persons, cameras, outfits and tracklets are numbered by (dataset, label), so no two
datasets share one. What a dataset does not label stays unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mbnet_jax.data.chained import Chained
from mbnet_jax.data.records import UNKNOWN, Identifiers
from mbnet_jax.data.splits import Split

LABEL_SET = "parsing_labels"  # of an example: the label set of its parsing map
_LABELS = ("pid", "camera", "clothes", "tracklet")


class JoinedSource(Chained):
    """The undecoded examples of several splits, one after another.

    The name of an example is "DATASET/NAME", as in the joined split, and it has the
    label set of its parsing map as `LABEL_SET`.
    """

    def __init__(self, splits: Mapping[str, Split], label_sets: Sequence[str]):
        """Takes the splits by dataset, and the label set of each one's maps."""
        super().__init__([*splits.values()])
        self._parts = [*zip(splits, label_sets, strict=True)]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Reads an example. Errors are of any class if the file is damaged."""
        part, example = self.find(index)
        name, label_set = self._parts[part]
        named = f"{name}/".encode() + example["name"]
        return example | {"name": named, LABEL_SET: label_set}


def join(splits: Mapping[str, Split], label_sets: Sequence[str]) -> Split:
    """Joins the training splits of several datasets, in their order.

    Args:
      splits: by dataset; their persons and known outfits are contiguous from 0.
      label_sets: of each one's parsing maps.
    """
    columns = {label: [] for label in _LABELS}
    for label, joined in columns.items():
        first = 0
        for split in splits.values():
            values = getattr(split, label)
            joined.append(np.where(values == UNKNOWN, UNKNOWN, values + first))
            first += int(values.max(initial=UNKNOWN)) + 1
    count = sum(len(split) for split in splits.values())
    return Split(
        **{label: np.concatenate(parts) for label, parts in columns.items()},
        names=tuple(f"{name}/{own}" for name, s in splits.items() for own in s.names),
        positions=np.arange(count),
        source=JoinedSource(splits, label_sets),
        own=tuple(
            Identifiers(*(f"{name} {label}" for label in split.shown(index)))
            for name, split in splits.items()
            for index in range(len(split))
        ),
    )
