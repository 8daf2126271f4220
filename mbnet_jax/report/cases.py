"""Chooses the queries that a report shows: requested, random, best and worst ones."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.evaluation.protocols import Protocol, participants
from mbnet_jax.evaluation.results import ProtocolResult

KINDS = ("chosen", "random", "best", "worst")


class Case(NamedTuple):
    """A query to show: its index among its protocols' queries, and the reasons."""

    row: int
    kinds: tuple[str, ...]


def groups_of(protocols: Iterable[Protocol]) -> list[list[Protocol]]:
    """Groups the protocols that share their queries, in the order of the table."""
    groups: dict[tuple, list[Protocol]] = {}
    for protocol in protocols:
        groups.setdefault((protocol.query, protocol.cameras), []).append(protocol)
    return list(groups.values())


def main_protocol(group: Sequence[Protocol]) -> Protocol:
    """Returns the protocol by which queries of a group are the best or the worst.

    It is the last one with the whole gallery, or the last one if there is none.
    """
    return ([p for p in group if not p.draws] or group)[-1]


def check_report(
    config: ConfigDict, protocols: Sequence[Protocol], test: Mapping[str, Split]
) -> None:
    """Checks the report's settings against the data before anything is computed.

    Raises:
      ValueError: if `eval.report_queries` has a name that is not a query's; the message
        suggests the nearest.
    """
    if not config.eval.report:
        return
    known = sorted(
        {
            name
            for (protocol, *_) in groups_of(protocols)
            for name in _taking_part(test[protocol.query], protocol).names
        }
    )
    for name in config.eval.report_queries:
        found = [path for path in known if _names(name, path)]
        if not found:
            raise ValueError(
                f"eval.report_queries: {name!r} is not a query; nearest: "
                f"{', '.join(_nearest(name, known))}"
            )
        if len(found) > 1:
            raise ValueError(
                f"eval.report_queries: {name!r} names {len(found)} queries; add the "
                f"folder, as in {found[0]!r}"
            )


def _taking_part(split: Split, protocol: Protocol) -> Split:
    return split.subset(participants(protocol, split))


def _names(name: str, path: str) -> bool:
    """Returns whether `path` ends with the file or folder names in `name`."""
    return f"/{path}".endswith(f"/{name}")


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """Returns up to three paths with a similar file name, or else the first three."""
    by_file = {path.rsplit("/", 1)[-1]: path for path in known}
    near = difflib.get_close_matches(name.rsplit("/", 1)[-1], by_file, 3, 0.3)
    return [by_file[file] for file in near] or list(known[:3])


def pick_cases(
    config: ConfigDict,
    group: Sequence[Protocol],
    results: Mapping[str, ProtocolResult],
) -> list[Case]:
    """Returns the queries of a group to show, the requested ones first.

    The best and the worst are those by average precision under `main_protocol`, in its
    first draw. The best are different persons, as far as there are enough, and so are
    the worst. Queries without a true match are shown only if requested.
    """
    result = results[main_protocol(group).name]
    query, precision = result.query, result.per_draw[0].average_precision
    requested = [
        row
        for name in config.eval.report_queries
        for row, path in enumerate(query.names)
        if _names(name, path)
    ]
    rows = np.flatnonzero(~np.isnan(precision))
    ascending = rows[np.argsort(precision[rows], kind="stable")]
    count = config.eval.report_lists
    shuffled = np.random.default_rng(config.eval.draw_seed).permutation(rows)
    picked = {
        "chosen": requested,
        "random": shuffled[:count],
        "best": _spread(ascending[::-1], query.pid, count),
        "worst": _spread(ascending, query.pid, count),
    }
    kinds: dict[int, tuple[str, ...]] = {}
    for kind, rows_of_kind in picked.items():
        for row in rows_of_kind:
            kinds[int(row)] = (*kinds.get(int(row), ()), kind)
    return [Case(row, reasons) for row, reasons in kinds.items()]


def _spread(order: np.ndarray, pid: np.ndarray, count: int) -> list[int]:
    """Returns the first `count` of `order`, preferring persons not yet included."""
    first = np.sort(np.unique(pid[order], return_index=True)[1])
    rest = np.setdiff1d(np.arange(len(order)), first)
    return order[np.concatenate([first, rest])[:count].astype(int)].tolist()
