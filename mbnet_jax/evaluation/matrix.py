"""The table of several runs on several datasets, from their `metrics.json`."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.evaluation.published import UNSAID, Published, published
from mbnet_jax.evaluation.results import CHANCE, STD, is_reranked
from mbnet_jax.evaluation.table import per_cent

ALL = "all"  # of a network of one branch: that branch
MEASURES = ("rank1", "mAP")
_NONE = "-"


class Pair(NamedTuple):
    """A run tested on the dataset of a config.

    Attributes:
      run: the run's folder.
      config: the config's name.
      dataset, variant: its `data.name` and `data.variant`.
      trained_on: the run's datasets, for people; "" if the run cannot be read.
      own: whether the run was trained on this dataset, alone or with others.
      content: of `metrics.json`; None if the test failed.
      error: why it failed.
    """

    run: str
    config: str
    dataset: str = ""
    variant: str = ""
    trained_on: str = ""
    own: bool = False
    content: dict | None = None
    error: str = ""


class Figure(NamedTuple):
    """A published figure, and the config whose column it is in."""

    config: str
    published: Published


def protocol_of(content: dict, chosen: Sequence[str] = ()) -> str:
    """The first of the protocols `chosen` that a test has, or else its hardest.

    That is the last one whose gallery is whole.
    """
    protocols = content["protocols"]
    for name in chosen:
        if name in protocols:
            return name
    whole = [name for name, entry in protocols.items() if not entry["draws"]]
    return (whole or [*protocols])[-1]


def cell_of(pair: Pair, embedding: str = ALL, protocols: Sequence[str] = ()) -> dict:
    """A pair's entry in `matrix.json`; values in 0..1.

    Args:
      pair: the run and the dataset.
      embedding: whose values it has.
      protocols: those to choose; () for the hardest.
    """
    about = {
        "run": pair.run,
        "config": pair.config,
        "trained_on": pair.trained_on,
        "own": pair.own,
    }
    if pair.content is None:
        return about | {"error": pair.error}
    protocol = protocol_of(pair.content, protocols)
    rows = pair.content["results"][protocol]
    known = [name for name in rows if name != CHANCE and not is_reranked(name)]
    name = known[-1] if embedding == ALL else embedding
    if name not in rows:
        error = f"no embedding {embedding!r}; there are {', '.join(known)}"
        return about | {"error": error}
    values = {
        measure: None if value is None or np.isnan(value) else value
        for measure, value in rows[name].items()
        if measure.removesuffix(STD) in MEASURES
    }
    return about | {
        "dataset": pair.content.get("dataset", pair.dataset),
        "step": pair.content["step"],
        "protocol": protocol,
        "embedding": name,
        **values,
    }


def figures_of(pairs: Iterable[Pair], cells: Iterable[dict]) -> list[Figure]:
    """The published figures for the datasets and protocols of the cells."""
    found = {}
    for pair, cell in zip(pairs, cells, strict=True):
        if "error" not in cell:
            for one in published(pair.dataset, cell["protocol"], pair.variant):
                found[Figure(pair.config, one)] = None
    return [*found]


def matrix_content(
    embedding: str, cells: Sequence[dict], figures: Sequence[Figure]
) -> dict:
    """The content of `matrix.json`."""
    return {
        "embedding": embedding,
        "cells": [*cells],
        "published": [{"config": f.config, **f.published._asdict()} for f in figures],
    }


def matrix_markdown(
    embedding: str, cells: Sequence[dict], figures: Sequence[Figure]
) -> str:
    """The table, with a row for each run and published network, and its notes."""
    columns: dict[str, str] = {}
    rows: dict[tuple[str, str], dict[str, str]] = {}
    notes = ["An asterisk: the run was trained on this dataset."] * any(
        c["own"] for c in cells
    )
    for cell in cells:
        config = cell["config"]
        columns.setdefault(config, config)
        if "error" in cell:
            text = "failed"
            notes.append(f"{cell['run']} on {config} failed: {cell['error']}")
        else:
            columns[config] = f"{config}, {cell['protocol'].replace('_', '-')}"
            text = " / ".join(per_cent(cell, measure) for measure in MEASURES)
            text += "*" * cell["own"]
            if cell["embedding"] != embedding:
                text += f" ({cell['embedding']})"
        rows.setdefault((cell["run"], cell["trained_on"] or _NONE), {})[config] = text
    sources: dict[tuple[str, str], int] = {}
    for config, one in figures:
        protocol = ", protocol not said" * (one.protocol == UNSAID)
        source = one.source, one.mark + protocol
        number = sources.setdefault(source, len(sources) + 1)
        values = {measure: getattr(one, measure) for measure in MEASURES}
        text = " / ".join(per_cent(values, measure) for measure in MEASURES)
        row = rows.setdefault((f"{one.method} [{number}]", one.trained_on), {})
        row[config] = text
    notes += [
        f"[{number}] published: {source} ({mark}); under that work's own settings."
        for (source, mark), number in sources.items()
    ]
    body = [
        [*titles, *(row.get(config, "") for config in columns)]
        for titles, row in rows.items()
    ]
    table = _table(["network", "trained on", *columns.values()], body)
    head = f"Rank-1 / mAP in per cent, of the embedding {embedding}."
    return "\n\n".join([head, table, *notes]) + "\n"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table in Markdown whose columns are aligned."""
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (head, *body)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(f'{c:<{w}}' for c, w in zip(line, widths, strict=True))} |"
        for line in lines
    )
