"""Formats results as a table: one row per embedding, in per cent."""

from collections.abc import Sequence

import numpy as np

from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import RERANKED, STD, Results, Values
from mbnet_jax.models import BRANCHES

PAPER = "MBNet, the paper's"  # title of the row with the paper's own figures
WIDTH = 125  # characters per line; further protocols go into another block
_CELL, _CELL_WITH_STD = 6, 11


def format_table(results: Results, protocols: Sequence[Protocol]) -> str:
    """Returns the table: one row per embedding, one group of columns per protocol.

    If the paper gives figures for a protocol of a block, they are its last row.
    """
    names = list(next(iter(results.values())))
    labels = [title_of(name) for name in names]
    if any(protocol.paper for protocol in protocols):
        labels.append(PAPER)
    label_width = max(map(len, labels))
    blocks: list[list[_Group]] = []
    width = WIDTH
    for protocol in protocols:
        group = _Group(protocol, results[protocol.name])
        if width + group.width > WIDTH:
            blocks.append([])
            width = label_width
        blocks[-1].append(group)
        width += group.width
    return "\n\n".join(_format_block(block, names, label_width) for block in blocks)


def title_of(name: str) -> str:
    """Returns the title of an embedding, plain or re-ranked, or of chance."""
    embedding = name.removesuffix(RERANKED)
    title = BRANCHES[embedding].title if embedding in BRANCHES else embedding
    return title + (", re-ranked" if embedding != name else "")


def measures_of(values: Values) -> list[str]:
    """Returns the measures of a protocol, in the order of the columns."""
    first = next(iter(values.values()))
    return [name for name in first if not name.endswith(STD)]


def heading_of(measure: str) -> str:
    """Returns the heading of a measure's column."""
    return measure.replace("rank", "R")


def papers_of(paper: tuple[float, float] | None, measures: Sequence[str]) -> list[str]:
    """Returns a cell per measure; empty where the paper gives no figure."""
    given = dict(zip(("rank1", "mAP"), paper or (), strict=False))
    return [per_cent(given, m) if m in given else "" for m in measures]


def paper_notes(protocols: Sequence[Protocol]) -> list[str]:
    """Returns the note below a table that has the paper's figures."""
    if not any(protocol.paper for protocol in protocols):
        return []
    return [f"{PAPER}: as printed there; which of these protocols it used is inferred"]


class _Group:
    """The columns of one protocol."""

    def __init__(self, protocol: Protocol, values: dict[str, dict[str, float]]):
        self.title = protocol.title
        self.paper = protocol.paper
        self._values = values
        self._cell = _CELL_WITH_STD if protocol.draws > 1 else _CELL
        self._measures = measures_of(values)
        self._inner = max(self._cell * len(self._measures), len(self.title))
        self.width = self._inner + 2

    def heading(self) -> str:
        return f" |{self.title:^{self._inner}}"

    def columns(self) -> str:
        return self._row(map(heading_of, self._measures))

    def values(self, name: str) -> str:
        return self._row(
            per_cent(self._values[name], measure) for measure in self._measures
        )

    def papers(self) -> str:
        return self._row(papers_of(self.paper, self._measures))

    def _row(self, cells) -> str:
        return f" |{''.join(f'{cell:>{self._cell}}' for cell in cells):<{self._inner}}"


def _format_block(groups: list[_Group], names: list[str], label_width: int) -> str:
    lines = [
        " " * label_width + "".join(group.heading() for group in groups),
        " " * label_width + "".join(group.columns() for group in groups),
    ]
    lines.append("-" * len(lines[-1]))
    for name in names:
        cells = "".join(group.values(name) for group in groups)
        lines.append(f"{title_of(name):<{label_width}}{cells}")
    if any(group.paper for group in groups):
        cells = "".join(group.papers() for group in groups)
        lines.append(f"{PAPER:<{label_width}}{cells}")
    return "\n".join(line.rstrip() for line in lines)


def per_cent(values: dict[str, float], measure: str) -> str:
    """Formats a measure in per cent, with its std over draws if there is one."""
    value = values[measure]
    if value is None or np.isnan(value):  # None: as in `metrics.json`
        return "-"
    std = values.get(measure + STD)
    if std is None or np.isnan(std):
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f}±{100 * std:.1f}"
