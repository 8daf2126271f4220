"""Splits of images with labels, and the identities held out for validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbnet_jax.data.records import Record, contiguous
from mbnet_jax.retrieval import Labels


@dataclass(frozen=True)
class Split:
    """Images of one split: int32 labels [n], file names, and where bytes lie.

    Image i is `source[positions[i]]`, an undecoded example of the builder's.
    """

    pid: np.ndarray
    camera: np.ndarray
    clothes: np.ndarray
    names: tuple[str, ...]
    positions: np.ndarray
    source: Any

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pid)

    @property
    def labels(self) -> Labels:
        """What the rules of evaluation compare."""
        return Labels(self.pid, self.camera, self.clothes)

    def example(self, index: int) -> dict[str, Any]:
        """The undecoded example of image `index`."""
        return self.source[int(self.positions[index])]

    def subset(self, indices: np.ndarray) -> "Split":
        """The images `indices`, in that order, with labels as they are."""
        return Split(
            self.pid[indices],
            self.camera[indices],
            self.clothes[indices],
            tuple(self.names[i] for i in indices),
            self.positions[indices],
            self.source,
        )

    def relabelled(self) -> "Split":
        """The same images with `pid` and `clothes` contiguous from 0."""
        new = {
            field: np.vectorize(contiguous(values.tolist()).get, otypes=[np.int32])(
                values
            )
            for field, values in (("pid", self.pid), ("clothes", self.clothes))
        }
        return Split(
            new["pid"],
            self.camera,
            new["clothes"],
            self.names,
            self.positions,
            self.source,
        )


def make_split(records: Sequence[Record], source) -> Split:
    """Joins records with the data source that `builder.prepare` made of them."""
    columns = {
        field: np.array([getattr(r, field) for r in records], np.int32)
        for field in ("pid", "camera", "clothes")
    }
    names = tuple(r.path.name for r in records)
    return Split(**columns, names=names, positions=np.arange(len(names)), source=source)


def hold_out_identities(
    train: Split, fraction: float, seed: int
) -> tuple[Split, Split, Split]:
    """Takes identities out of training: (rest, validation query, its gallery).

    The gallery is every held-out image and the queries are one image of each
    (person, camera, clothes): every rule removes the query's own image from the
    gallery, because it has the query's person and camera.

    Raises:
      ValueError: unless at least two identities go to each side, fewer being
        no retrieval problem and no classification problem.
    """
    identities = np.unique(train.pid)
    count = round(len(identities) * fraction)
    if count < 2 or len(identities) - count < 2:
        raise ValueError(
            f"data.validation_fraction={fraction} holds out {count} of "
            f"{len(identities)} training identities; at least 2 must be held out "
            "and 2 must stay"
        )
    held_out = np.random.default_rng(seed).permutation(identities)[:count]
    is_held_out = np.isin(train.pid, held_out)
    validation = train.subset(np.flatnonzero(is_held_out))
    cells = np.stack([validation.pid, validation.camera, validation.clothes], axis=1)
    _, first_of_cell = np.unique(cells, axis=0, return_index=True)
    rest = train.subset(np.flatnonzero(~is_held_out)).relabelled()
    return rest, validation.subset(np.sort(first_of_cell)), validation
