"""Compares two networks on the same queries: differences with bootstrap intervals.

Images of one person are alike, so queries of one person are not independent samples. An
interval over persons resamples persons with all their queries; one over queries is too
narrow, and is given because others report it.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbnet_jax.evaluation.results import QUERIES_HEAD
from mbnet_jax.files import read_bytes
from mbnet_jax.refusals import shown

RESAMPLES = 10_000
MEASURES = ("mAP", "rank1")
_LEVEL = (2.5, 97.5)  # percentiles
_AT_A_TIME = 1 << 22  # resampled entries
_MAX_BYTES = 1 << 30
_REMEDY = "evaluate the run again"

Interval = tuple[float, float]


class Scores(NamedTuple):
    """The queries of a protocol that have a true match, sorted by file.

    Attributes:
      person: of each query, as the dataset names it.
      values: float64 [n, 2], average precision and whether the nearest is a match; a
        mean over draws.
      file: of each query; () where it is not known.
    """

    person: tuple[str, ...]
    values: np.ndarray
    file: tuple[str, ...] = ()


class Difference(NamedTuple):
    """A measure of two networks, in 0..1.

    Attributes:
      first, second: of the two.
      queries, persons: the 95 % intervals of second - first, over queries and over
        persons; NaN where there are fewer than two.
    """

    first: float
    second: float
    queries: Interval
    persons: Interval

    @property
    def value(self) -> float:
        """Second - first."""
        return self.second - self.first


def read_queries(path: Path) -> dict[tuple[str, str, str, str], tuple[int, float]]:
    """Reads a `queries.csv`.

    Returns:
      (protocol, draw, file, person) -> rank of the first true match and average
      precision, 0 and NaN without a true match.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: naming the file and the line that does not fit.
    """
    text = read_bytes(path, _MAX_BYTES).decode("utf-8", "replace")
    rows = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(rows, ())) != QUERIES_HEAD:
        raise ValueError(f"{path}, line 1, must be {','.join(QUERIES_HEAD)}; {_REMEDY}")
    found = {}
    for row in rows:
        key = tuple(row[:4])
        try:
            _, _, _, _, first, precision = row
            score = (int(first or 0), float(precision or "nan"))
            if (score[0] > 0) != (0 <= score[1] <= 1) or key in found:
                raise ValueError
        except ValueError:
            raise ValueError(
                f"{path}, line {rows.line_num}, is not of a query: {shown(row)}; "
                f"{_REMEDY}"
            ) from None
        found[key] = score
    if not found:
        raise ValueError(f"{path} has no queries; {_REMEDY}")
    return found


def paired_scores(first: Path, second: Path) -> dict[str, tuple[Scores, Scores]]:
    """Reads two files of the same queries: protocol -> the scores of either.

    Queries without a true match are left out. With several draws, a query's score is
    their mean.

    Raises:
      FileNotFoundError, ValueError: as `read_queries`; also if the queries differ,
        naming the first that does.
    """
    tables = read_queries(first), read_queries(second)
    for path, table, other in (
        (second, tables[1], tables[0]),
        (first, tables[0], tables[1]),
    ):
        for key, (rank, _) in other.items():
            protocol, draw, file, person = key
            what = f"query {file} (person {person}, {protocol}, draw {draw})"
            if key not in table:
                raise ValueError(
                    f"{path} has no {what}, unlike the other run's; compare tests on "
                    "the same dataset with the same protocols"
                )
            if (rank > 0) != (table[key][0] > 0):
                raise ValueError(
                    f"{what} has a true match in one of {first} and {second} only: "
                    "their galleries differ; compare tests on the same dataset"
                )
    scores = _scores(tables[0]), _scores(tables[1])
    return {name: (scores[0][name], scores[1][name]) for name in scores[0]}


def _scores(table: Mapping[tuple, tuple[int, float]]) -> dict[str, Scores]:
    draws: dict[str, dict[tuple[str, str], list]] = {}
    for (protocol, _, file, person), (rank, precision) in table.items():
        of_query = draws.setdefault(protocol, {}).setdefault((file, person), [])
        if rank:
            of_query.append((precision, float(rank == 1)))
    scores = {}
    for protocol, queries in draws.items():
        # The same order for both networks.
        found = [(*key, np.mean(q, 0)) for key, q in sorted(queries.items()) if q]
        values = np.array([mean for *_, mean in found]).reshape(-1, len(MEASURES))
        persons = tuple(person for _, person, _ in found)
        files = tuple(file for file, *_ in found)
        scores[protocol] = Scores(persons, values, files)
    return scores


def compare(
    first: Scores, second: Scores, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Difference]:
    """Returns measure -> its difference, with intervals over queries and persons.

    Args:
      first, second: of the same queries, in the same order.
      resamples: of the bootstrap (Efron, 1979; its percentile interval).
      seed: of the resamples.

    Raises:
      ValueError: the queries are of different persons.
    """
    if first.person != second.person:
        raise ValueError("the two networks were tested on different queries")
    change = second.values - first.values
    by_query = _bootstrap(change, np.ones(len(change)), resamples, seed)
    person = np.unique(np.array(first.person, object), return_inverse=True)[1]
    sums = np.stack([np.bincount(person, column) for column in change.T], 1)
    by_person = _bootstrap(sums, np.bincount(person), resamples, seed)
    mean = _mean_or_nan
    return {
        measure: Difference(
            *(mean(first.values[:, k]), mean(second.values[:, k])),
            *(by_query[k], by_person[k]),
        )
        for k, measure in enumerate(MEASURES)
    }


def _bootstrap(
    sums: np.ndarray, counts: np.ndarray, resamples: int, seed: int
) -> list[Interval]:
    """The interval of each column's mean, if the rows are drawn with replacement.

    Args:
      sums: float [n, k], of each row's queries.
      counts: [n], the number of these queries.
      resamples, seed: as in `compare`.
    """
    n = len(sums)
    if n < 2:
        return [(np.nan, np.nan)] * sums.shape[1]
    rng = np.random.default_rng(seed)
    columns = [np.ascontiguousarray(column) for column in (*sums.T, counts)]
    step, means = max(_AT_A_TIME // n, 1), []
    for start in range(0, resamples, step):
        rows = rng.integers(0, n, (min(step, resamples - start), n), np.uint32)
        *drawn, number = (column[rows].sum(1) for column in columns)
        means.append(np.stack(drawn, 1) / number[:, None])
    low, high = np.percentile(np.concatenate(means), _LEVEL, axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _mean_or_nan(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
