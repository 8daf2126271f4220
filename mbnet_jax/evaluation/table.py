"""The results as a table to print: embeddings down, protocols across, per cent."""

from collections.abc import Sequence

import numpy as np

from mbnet_jax.evaluation.measure import (
    CHANCE,
    DEVIATION,
    RERANKED,
    Results,
    Values,
)
from mbnet_jax.evaluation.protocols import Protocol

TITLES = {
    "global": "global branch",
    "clothing_unrelated": "clothing-unrelated branch",
    "mask": "mask branch",
    "all": "all",
    CHANCE: "chance",
}
PAPER = "MBNet, the paper's"  # the row of figures that are not ours
WIDTH = 125  # columns of text; more protocols go into further blocks
_CELL, _CELL_WITH_DEVIATION = 6, 11


def format_table(results: Results, protocols: Sequence[Protocol]) -> str:
    """One row per embedding, one group of columns per protocol; per cent.

    Where a block of protocols has figures of the paper's, they are its last row.
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
    """An embedding's name in words, also re-ranked."""
    embedding = name.removesuffix(RERANKED)
    return TITLES[embedding] + (", re-ranked" if embedding != name else "")


def measures_of(values: Values) -> list[str]:
    """The measures of a protocol, in the order of the columns."""
    first = next(iter(values.values()))
    return [name for name in first if not name.endswith(DEVIATION)]


def heading_of(measure: str) -> str:
    """A measure at the head of its column."""
    return measure.replace("rank", "R")


def papers_of(paper: tuple[float, float] | None, measures: Sequence[str]) -> list[str]:
    """The paper's figures under the measures that it gives, else nothing."""
    given = dict(zip(("rank1", "mAP"), paper or (), strict=False))
    return [per_cent(given, m) if m in given else "" for m in measures]


class _Group:
    """The columns of one protocol."""

    def __init__(self, protocol: Protocol, values: dict[str, dict[str, float]]):
        self.title = protocol.title
        self.paper = protocol.paper
        self._values = values
        self._cell = _CELL_WITH_DEVIATION if protocol.draws > 1 else _CELL
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
    """A measure, with its deviation over draws if there is one."""
    value = values[measure]
    if np.isnan(value):
        return "-"
    deviation = values.get(measure + DEVIATION)
    if deviation is None:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f}±{100 * deviation:.1f}"
