"""The rules that choose queries, people and images, so nothing is hand-picked."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.data import Split
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.retrieval import RetrievalMetrics

COUNT = 4  # queries, or people, per picture
MOST_OUTFITS = 5  # per person


class Choice(NamedTuple):
    """Queries that one network gets right and another wrong.

    rows: int [at most COUNT], the queries that are shown.
    total: number of all such queries.
    """

    rows: np.ndarray
    total: int


def choose(right: RetrievalMetrics, wrong: RetrievalMetrics, pid: np.ndarray) -> Choice:
    """Chooses queries whose nearest image is right by one network, wrong by another.

    They are sorted by the difference in average precision, largest first; ties by row.
    Only the first query of each person is shown.

    Args:
      right, wrong: the two networks' results for the same queries.
      pid: int [queries], the persons.
    """
    rows = np.flatnonzero((right.first_match_rank == 1) & (wrong.first_match_rank > 1))
    gain = right.average_precision[rows] - wrong.average_precision[rows]
    rows = rows[np.argsort(-gain, kind="stable")]
    first = np.sort(np.unique(pid[rows], return_index=True)[1])
    return Choice(rows[first[:COUNT]], len(rows))


class ChosenImage(NamedTuple):
    """An image of a person: its split, and its index there."""

    split: Split
    index: int


def choose_people(first: Iterable[int], splits: Sequence[Split]) -> list[int]:
    """Chooses COUNT people who changed clothes: the `first`, then the lowest numbers.

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
        raise ValueError("nobody in the test split has two known outfits")
    known = [pid for pid in first if pid in changed]
    return list(dict.fromkeys([*known, *changed]))[:COUNT]


def choose_images(pid: int, splits: Sequence[Split]) -> tuple[list[ChosenImage], int]:
    """Chooses one image of each of a person's first MOST_OUTFITS outfits.

    The images are from the camera that shows the most outfits (on a tie, the lowest);
    an outfit that it does not show is from the next such camera that shows it. Among
    a camera's images of an outfit, the first is chosen.

    Returns:
      The images, and the number of all outfits.
    """
    seen: dict[tuple[int, int], ChosenImage] = {}  # by camera and outfit
    for split in splits:
        for index in np.flatnonzero(split.pid == pid).tolist():
            key = int(split.camera[index]), int(split.clothes[index])
            seen.setdefault(key, ChosenImage(split, index))
    cameras = [camera for camera, _ in seen]
    order = sorted(set(cameras), key=lambda camera: (-cameras.count(camera), camera))
    outfits = sorted({outfit for _, outfit in seen})
    images = [
        next(seen[camera, outfit] for camera in order if (camera, outfit) in seen)
        for outfit in outfits[:MOST_OUTFITS]
    ]
    return images, len(outfits)
