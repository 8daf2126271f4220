"""Persons and queries whose scores differ most between two networks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.evaluation.paired import Scores


class Person(NamedTuple):
    """A person's number of queries, and mean average precision by either network."""

    name: str
    queries: int
    first: float
    second: float


def changed_persons(
    first: Scores, second: Scores, most: int
) -> tuple[list[Person], list[Person]]:
    """The persons that gained most, and those that lost most; largest changes first.

    Args:
      first, second: of the same queries, in the same order.
      most: persons of either kind.
    """
    names, of = np.unique(np.array(first.person, object), return_inverse=True)
    counts = np.bincount(of)
    before, after = (
        np.bincount(of, scores.values[:, 0]) / counts for scores in (first, second)
    )
    gained, lost = _extremes(after - before, most)

    def persons(rows: Sequence[int]) -> list[Person]:
        return [
            Person(names[k], int(counts[k]), float(before[k]), float(after[k]))
            for k in rows
        ]

    return persons(gained), persons(lost)


def changed_queries(
    first: Scores, second: Scores, most: int
) -> tuple[list[int], list[int]]:
    """Rows of the queries that gained most, and lost most; of each person, one."""
    change = second.values[:, 0] - first.values[:, 0]
    gained, lost = _extremes(change, len(change))

    def of_different_persons(rows: Sequence[int]) -> list[int]:
        taken = {first.person[row]: row for row in reversed(rows)}
        return [row for row in rows if taken[first.person[row]] == row][:most]

    return of_different_persons(gained), of_different_persons(lost)


def _extremes(change: np.ndarray, most: int) -> tuple[list[int], list[int]]:
    """Rows with the largest positive and the largest negative changes, in order."""
    order = np.argsort(-change, kind="stable")
    gained = [int(row) for row in order if change[row] > 0][:most]
    backwards = np.argsort(change, kind="stable")
    return gained, [int(row) for row in backwards if change[row] < 0][:most]
