"""Which queries a report shows: those asked for, random ones, the best, the worst."""

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.evaluation.measure import Judged
from mbnet_jax.evaluation.protocols import Protocol, participants

KINDS = ("chosen", "random", "best", "worst")
# Queries of a kind, and those asked for. A page of PRCC, with two sets of queries, two
# galleries for each and four embeddings, has 4,000 images in its lists, some 2 MB of
# text beside the images themselves.
MOST, MOST_ASKED = 6, 10


class Case(NamedTuple):
    """A query: its place among those of its protocols, and why it is shown."""

    row: int
    kinds: tuple[str, ...]


def groups_of(protocols: Iterable[Protocol]) -> list[list[Protocol]]:
    """Protocols that have their queries in common, in the order of the table."""
    groups: dict[tuple, list[Protocol]] = {}
    for protocol in protocols:
        groups.setdefault((protocol.query, protocol.cameras), []).append(protocol)
    return list(groups.values())


def judging(group: Sequence[Protocol]) -> Protocol:
    """The protocol that tells a group's best and worst queries: its last undrawn."""
    return ([p for p in group if not p.draws] or group)[-1]


def check_report(
    config: ConfigDict, protocols: Sequence[Protocol], test: dict[str, Split]
) -> None:
    """Refuses what a report cannot show, before anything is computed.

    Raises:
      ValueError: `eval.report_lists` is out of range, or `eval.report_queries` names
        too many files or what is no query; the nearest names are given.
    """
    if not config.eval.report:
        return
    lists, asked = config.eval.report_lists, tuple(config.eval.report_queries)
    if not 0 <= lists <= MOST:
        raise ValueError(f"eval.report_lists={lists} must be from 0 to {MOST}")
    if len(asked) > MOST_ASKED:
        raise ValueError(
            f"eval.report_queries names {len(asked)} files; a report holds {MOST_ASKED}"
        )
    known = sorted(
        {
            name
            for (protocol, *_) in groups_of(protocols)
            for name in _taking_part(test[protocol.query], protocol).names
        }
    )
    for name in asked:
        found = [full for full in known if _names(name, full)]
        if not found:
            raise ValueError(
                f"eval.report_queries: {name!r} is no query; nearest: "
                f"{', '.join(_nearest(name, known))}"
            )
        if len(found) > 1:
            raise ValueError(
                f"eval.report_queries: {name!r} names {len(found)} queries; give the "
                f"folder too, as in {found[0]!r}"
            )


def _taking_part(split: Split, protocol: Protocol) -> Split:
    return split.subset(participants(protocol, split))


def _names(name: str, full: str) -> bool:
    """Whether `name` is the end of the path `full`, from a folder or file name on."""
    return f"/{full}".endswith(f"/{name}")


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """Up to three paths whose file names are like that of `name`; else the first."""
    by_file = {full.rsplit("/", 1)[-1]: full for full in known}
    near = difflib.get_close_matches(name.rsplit("/", 1)[-1], by_file, 3, 0.3)
    return [by_file[file] for file in near] or list(known[:3])


def pick_cases(
    config: ConfigDict, group: Sequence[Protocol], judged: dict[str, Judged]
) -> list[Case]:
    """The queries of a group to show, those asked for first.

    Best and worst by average precision under the group's `judging` protocol, of its
    first draw; no two of one person among the best, or the worst, while there are
    others. Queries without a true match can be asked for, and are not picked.
    """
    outcome = judged[judging(group).name]
    query, precision = outcome.query, outcome.per_draw[0].average_precision
    chosen = [
        row
        for name in config.eval.report_queries
        for row, full in enumerate(query.names)
        if _names(name, full)
    ]
    rows = np.flatnonzero(~np.isnan(precision))
    ascending = rows[np.argsort(precision[rows], kind="stable")]
    count = config.eval.report_lists
    picked = {
        "chosen": chosen,
        "random": np.random.default_rng(config.eval.draw_seed).permutation(rows)[
            :count
        ],
        "best": _spread(ascending[::-1], query.pid, count),
        "worst": _spread(ascending, query.pid, count),
    }
    kinds: dict[int, tuple[str, ...]] = {}
    for kind, these in picked.items():
        for row in these:
            kinds[int(row)] = (*kinds.get(int(row), ()), kind)
    return [Case(row, of) for row, of in kinds.items()]


def _spread(order: np.ndarray, pid: np.ndarray, count: int) -> list[int]:
    """The first `count` of `order`, one a person while there are others."""
    first = np.sort(np.unique(pid[order], return_index=True)[1])
    rest = np.setdiff1d(np.arange(len(order)), first)
    return order[np.concatenate([first, rest])[:count].astype(int)].tolist()
