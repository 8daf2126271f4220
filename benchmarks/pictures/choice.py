"""Which queries, people and images are shown: rules that leave nothing to taste."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.data import Split
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.retrieval import RetrievalMetrics

COUNT = 4  # queries of a picture, people of a picture
MOST_OUTFITS = 5  # of a person


class Choice(NamedTuple):
    """Queries that one network gets right and another wrong.

    rows: int [at most COUNT], those to show.
    total: how many such queries there are.
    """

    rows: np.ndarray
    total: int


def choose(right: RetrievalMetrics, wrong: RetrievalMetrics, pid: np.ndarray) -> Choice:
    """The queries whose nearest image is right by one network, and wrong by the other.

    Those of the largest difference in average precision come first, of equal ones
    that of the lower row; of each person the first alone is shown.

    Args:
      right, wrong: the two networks' outcome for the same queries.
      pid: int [queries], the persons.
    """
    rows = np.flatnonzero((right.first_match_rank == 1) & (wrong.first_match_rank > 1))
    gain = right.average_precision[rows] - wrong.average_precision[rows]
    rows = rows[np.argsort(-gain, kind="stable")]
    first = np.sort(np.unique(pid[rows], return_index=True)[1])
    return Choice(rows[first[:COUNT]], len(rows))


class Place(NamedTuple):
    """An image of a person: its split, and its place there."""

    split: Split
    index: int


def people(first: Iterable[int], splits: Sequence[Split]) -> list[int]:
    """COUNT people who changed clothes: the `first`, then those of lowest number.

    Raises:
      ValueError: if nobody changed clothes.
    """
    outfits: dict[int, set[int]] = {}
    for split in splits:
        for pid, clothes in zip(
            split.pid.tolist(), split.clothes.tolist(), strict=True
        ):
            if clothes != UNKNOWN:
                outfits.setdefault(pid, set()).add(clothes)
    changed = sorted(pid for pid, worn in outfits.items() if len(worn) > 1)
    if not changed:
        raise ValueError("nobody in the test split is seen in two outfits")
    known = [pid for pid in first if pid in changed]
    return list(dict.fromkeys([*known, *changed]))[:COUNT]


def images_of(pid: int, splits: Sequence[Split]) -> tuple[list[Place], int]:
    """One image of each of a person's first MOST_OUTFITS outfits, and their number.

    All from the camera that shows the most of the outfits, of equals the lowest; an
    outfit that it does not show from the lowest that does. Of a camera's images the
    first, in the order of splits and of the images in them.
    """
    seen: dict[tuple[int, int], Place] = {}  # by camera and outfit
    for split in splits:
        for index in np.flatnonzero(split.pid == pid).tolist():
            key = int(split.camera[index]), int(split.clothes[index])
            seen.setdefault(key, Place(split, index))
    cameras = [camera for camera, _ in seen]
    order = sorted(set(cameras), key=lambda camera: (-cameras.count(camera), camera))
    outfits = sorted({outfit for _, outfit in seen})
    places = [
        next(seen[camera, outfit] for camera in order if (camera, outfit) in seen)
        for outfit in outfits[:MOST_OUTFITS]
    ]
    return places, len(outfits)
