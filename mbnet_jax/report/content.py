"""The figures of a report: table, CMC, similarities, training; ready for its page."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.measure import (
    CHANCE,
    Embedded,
    Judged,
    is_reranked,
    sides,
)
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.table import (
    PAPER,
    heading_of,
    measures_of,
    papers_of,
    per_cent,
    title_of,
)
from mbnet_jax.report import curves, training
from mbnet_jax.report.similarities import Separation, separation
from mbnet_jax.retrieval import chance_level, similarity_histograms

MOST_RANKS = 50  # of a CMC curve
_CHANCE_RANKS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50)  # each takes a while
_IN_TABLE = (1, 5, 10, 20, 50)


def results_table(
    protocols: Sequence[Protocol], judged: dict[str, Judged]
) -> tuple[list[dict], list[dict]]:
    """The table as printed: (groups of columns, rows of cells)."""
    groups = [
        {
            "title": protocol.title,
            "measures": [*map(heading_of, measures_of(judged[protocol.name].values))],
        }
        for protocol in protocols
    ]
    rows = [
        {
            "title": title_of(name),
            "cells": [
                per_cent(judged[p.name].values[name], measure)
                for p in protocols
                for measure in measures_of(judged[p.name].values)
            ],
        }
        for name in judged[protocols[0].name].values
    ]
    if any(protocol.paper for protocol in protocols):
        cells = [
            cell
            for p in protocols
            for cell in papers_of(p.paper, measures_of(judged[p.name].values))
        ]
        rows.append({"title": PAPER, "cells": cells})
    return groups, rows


def cmc_of(
    protocol: Protocol, judged: Judged, embedded: dict[str, Embedded], seed: int
) -> dict:
    """A protocol's CMC curves, over draws the mean, and their values at some ranks."""
    query, galleries = sides(embedded, protocol, seed)
    most = min(MOST_RANKS, len(galleries[0].split))
    ranks = np.arange(1, most + 1)
    lines = {}
    for name, draws in judged.metrics.items():
        first = [m.first_match_rank[m.first_match_rank > 0] for m in draws]
        lines[title_of(name)] = (
            ranks,
            np.mean([(r[:, None] <= ranks).mean(0) for r in first], axis=0)
            if all(map(len, first))
            else np.full(most, np.nan),
        )
    at = [rank for rank in _CHANCE_RANKS if rank <= most]
    levels = [
        chance_level(query.split.labels, g.split.labels, protocol.rule, tuple(at))
        for g in galleries
    ]
    chance = [np.mean([level[f"rank{rank}"] for level in levels]) for rank in at]
    shown = [rank for rank in _IN_TABLE if rank <= most]
    values = {title: [y[rank - 1] for rank in shown] for title, (_, y) in lines.items()}
    values[title_of(CHANCE)] = [chance[at.index(rank)] for rank in shown]
    return {
        "title": protocol.title,
        "ranks": shown,
        "rows": [
            {"title": title, "cells": [_per_cent(v) for v in row]}
            for title, row in values.items()
        ],
        "svg": curves.cmc(
            f"cmc-{protocol.name}",
            lines,
            (at, chance),
            f"CMC curves under {protocol.title}; the table below has their values",
        ),
    }


def similarities_of(
    protocol: Protocol, embedded: dict[str, Embedded], seed: int
) -> dict:
    """How similar a protocol's true and false pairs are, by each embedding.

    Of drawn galleries the first.
    """
    query, (gallery, *_) = sides(embedded, protocol, seed)
    mesh = make_mesh(jax.local_devices())  # one process alone makes the report
    made = {
        name: similarity_histograms(
            query.embeddings[name],
            query.split.labels,
            gallery.embeddings[name],
            gallery.split.labels,
            rule=protocol.rule,
            mesh=mesh,
        )
        for name in query.embeddings
    }
    shown = []
    for name, histograms in made.items():
        of = separation(histograms)
        if not of.true or not of.false:  # then by no embedding
            break
        words = in_words(of)
        svg = curves.similarities(
            f"similarity-{protocol.name}-{name}",
            histograms,
            curves.extent(made.values()),
            f"Similarity by {title_of(name)} under {protocol.title}: {words}",
        )
        shown.append({"title": title_of(name), "svg": svg, "of": of, "words": words})
    return {"title": protocol.title, "shown": shown}


def in_words(of: Separation) -> str:
    """How well true pairs are told from false ones, in one sentence."""
    return (
        f"a true pair is more similar than a false one in {100 * of.auc:.1f} % of the "
        f"cases (AUC); at a threshold of {of.threshold:.3f}, {100 * of.eer:.1f} % of "
        "the true pairs, and as large a share of the false ones, are on the wrong "
        "side (EER)"
    )


def training_charts(workdir: Path) -> list[dict]:
    """What the run logged: charts, each with its last values; empty without a log."""
    shown = []
    for number, (title, lines) in enumerate(
        training.charts(training.logged(workdir)).items()
    ):
        titled = {_line_title(name): line for name, line in lines.items()}
        last = [
            {"title": name, "step": steps[-1], "value": f"{values[-1]:.4g}"}
            for name, (steps, values) in titled.items()
        ]
        label = f"{title} by step; last: " + ", ".join(
            f"{row['title']} {row['value']}" for row in last
        )
        svg = curves.over_steps(
            f"training-{number}", titled, title, label, dots=title == "validation"
        )
        shown.append({"title": title, "svg": svg, "last": last})
    return shown


def _line_title(name: str) -> str:
    return {"clothing_unrelated": "clothing-unrelated"}.get(
        name, name.replace("_", " ")
    )


def embeddings_of(judged: Judged) -> list[str]:
    """The embeddings whose lists are shown: as they are, not re-ranked."""
    return [name for name in judged.metrics if not is_reranked(name)]


def described(config: ConfigDict, prefix: str = "") -> list[tuple[str, str]]:
    """Every field of a config with its value, by full name."""
    rows = []
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            rows += described(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, repr(value)))
    return rows


def _per_cent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"
