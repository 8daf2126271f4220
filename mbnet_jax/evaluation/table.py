"""Formats results as a table: one row per embedding, in per cent."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import CHANCE, RERANKED, STD, Results, Values
from mbnet_jax.models import BRANCHES
from mbnet_jax.progress import PLAIN_WIDTH

PAPER = "MBNet, the paper's"  # title of the row with the paper's own figures
_BOLD, _NOT_BOLD = "\x1b[1m", "\x1b[22m"
_BEFORE_GROUP, _BETWEEN = " | ", "  "


def format_table(
    results: Results,
    protocols: Sequence[Protocol],
    *,
    width: int = PLAIN_WIDTH,
    bold: bool = False,
) -> str:
    """Returns the table: one row per embedding, one group of columns per protocol.

    The paper's figures, if it gives any for a protocol of a block, are the last row
    but one; chance is the last.

    Args:
      results: protocol -> its values.
      protocols: in the order of the columns.
      width: characters of a line; further protocols go into another block.
      bold: whether the best value of each column has a terminal's code for bold.
    """
    names = rows_of(results, protocols)
    titles = _row_titles(names)
    label_width = max(map(len, titles.values()))
    blocks: list[list[_Group]] = []
    left = 0
    for protocol in protocols:
        columns = _columns(protocol, results[protocol.name], names)
        for group in _groups(protocol.title, columns, width - label_width):
            if group.width > left:
                blocks.append([])
                left = width - label_width
            blocks[-1].append(group)
            left -= group.width
    return "\n\n".join(
        _format_block(block, titles, label_width, bold) for block in blocks
    )


def rows_of(results: Results, protocols: Sequence[Protocol]) -> list[str]:
    """Returns the names of the rows: embeddings, the paper's if it has any, chance."""
    names = [name for name in next(iter(results.values())) if name != CHANCE]
    return names + [PAPER] * any(p.paper for p in protocols) + [CHANCE]


def title_of(name: str) -> str:
    """Returns the title of an embedding, plain or re-ranked, or of another row."""
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


def best_cell(values: Values, measure: str) -> str:
    """The cell of the best embedding; "" if there is nothing to choose from."""
    cells = {n: per_cent(own, measure) for n, own in values.items() if n != CHANCE}
    own = {name: values[name][measure] for name, cell in cells.items() if cell != "-"}
    return cells[max(own, key=own.get)] if len(own) > 1 else ""


class _Column(NamedTuple):
    """A measure of a protocol: its heading, and the cell of each row."""

    heading: str
    cells: dict[str, str]
    best: str  # cell of the best embedding; "" if there is nothing to choose from

    @property
    def width(self) -> int:
        return max(map(len, (self.heading, *self.cells.values())))


class _Group(NamedTuple):
    """Columns of one protocol, side by side."""

    title: str
    columns: list[_Column]

    @property
    def inner(self) -> int:
        between = len(_BETWEEN) * (len(self.columns) - 1)
        columns = sum(column.width for column in self.columns) + between
        return max(columns, len(self.title))

    @property
    def width(self) -> int:
        return len(_BEFORE_GROUP) + self.inner

    def line(self, cells: Iterable[str]) -> str:
        cells = [f"{c:>{k.width}}" for c, k in zip(cells, self.columns, strict=True)]
        return f"{_BEFORE_GROUP}{_BETWEEN.join(cells):<{self.inner}}"

    def row(self, name: str, bold: bool) -> str:
        line, done = self.line(k.cells.get(name, "") for k in self.columns), 0
        if not bold or name in (PAPER, CHANCE):
            return line
        marked, end = "", len(_BEFORE_GROUP)
        for column in self.columns:
            end += column.width
            cell = column.cells.get(name, "")
            if column.best and cell == column.best:
                marked += line[done : end - len(cell)] + _BOLD + cell + _NOT_BOLD
                done = end
            end += len(_BETWEEN)
        return marked + line[done:]


def _columns(protocol: Protocol, values: Values, names: list[str]) -> list[_Column]:
    measures = measures_of(values)
    columns = []
    for measure, papers in zip(
        measures, papers_of(protocol.paper, measures), strict=True
    ):
        cells = {n: per_cent(values[n], measure) for n in names if n in values}
        best = best_cell(values, measure)
        if protocol.paper:
            cells[PAPER] = papers
        columns.append(_Column(heading_of(measure), cells, best))
    return columns


def _groups(title: str, columns: list[_Column], width: int) -> list[_Group]:
    """One group; several if its columns are wider than `width`."""
    groups = [_Group(title, [])]
    for column in columns:
        wider = _Group(title, [*groups[-1].columns, column])
        if groups[-1].columns and wider.width > width:
            groups.append(_Group(title, [column]))
        else:
            groups[-1] = wider
    return groups


def _row_titles(names: list[str]) -> dict[str, str]:
    """Row -> title. A re-ranked row below its embedding's own says only that."""
    titles = {}
    for before, name in zip(["", *names], names, strict=False):
        short = name == before + RERANKED
        titles[name] = "  re-ranked" if short else title_of(name)
    return titles


def _format_block(
    groups: list[_Group], titles: dict[str, str], label_width: int, bold: bool
) -> str:
    margin = " " * label_width
    lines = [
        margin + "".join(f"{_BEFORE_GROUP}{g.title:^{g.inner}}" for g in groups),
        margin + "".join(g.line(k.heading for k in g.columns) for g in groups),
    ]
    lines.append("-" * len(lines[-1]))
    cells_of = [column.cells for group in groups for column in group.columns]
    for name, title in titles.items():
        if any(name in cells for cells in cells_of):
            cells = "".join(group.row(name, bold) for group in groups)
            lines.append(f"{title:<{label_width}}{cells}")
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
