"""The results as a table to print: embeddings down, protocols across, per cent."""

from collections.abc import Sequence

import numpy as np

from mbnet_jax.evaluation.measure import CHANCE, DEVIATION, RERANKED, Results
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
    labels = [_title(name) for name in names]
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


def _title(name: str) -> str:
    embedding = name.removesuffix(RERANKED)
    return TITLES[embedding] + (", re-ranked" if embedding != name else "")


class _Group:
    """The columns of one protocol."""

    def __init__(self, protocol: Protocol, values: dict[str, dict[str, float]]):
        self.title = protocol.name.replace("_", "-")
        self.paper = protocol.paper
        self._values = values
        self._cell = _CELL_WITH_DEVIATION if protocol.draws > 1 else _CELL
        first = next(iter(values.values()))
        self._measures = [name for name in first if not name.endswith(DEVIATION)]
        self._inner = max(self._cell * len(self._measures), len(self.title))
        self.width = self._inner + 2

    def heading(self) -> str:
        return f" |{self.title:^{self._inner}}"

    def columns(self) -> str:
        return self._row(m.replace("rank", "R") for m in self._measures)

    def values(self, name: str) -> str:
        return self._row(
            _per_cent(self._values[name], measure) for measure in self._measures
        )

    def papers(self) -> str:
        given = dict(zip(("rank1", "mAP"), self.paper or (), strict=False))
        return self._row(
            _per_cent(given, measure) if measure in given else ""
            for measure in self._measures
        )

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
        lines.append(f"{_title(name):<{label_width}}{cells}")
    if any(group.paper for group in groups):
        cells = "".join(group.papers() for group in groups)
        lines.append(f"{PAPER:<{label_width}}{cells}")
    return "\n".join(line.rstrip() for line in lines)


def _per_cent(values: dict[str, float], measure: str) -> str:
    value = values[measure]
    if np.isnan(value):
        return "-"
    deviation = values.get(measure + DEVIATION)
    if deviation is None:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f}±{100 * deviation:.1f}"
