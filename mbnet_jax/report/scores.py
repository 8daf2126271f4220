"""The scores of a report: the results table and the CMC curves."""

from collections.abc import Mapping, Sequence

import numpy as np

from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import CHANCE, ProtocolResult, query_and_galleries
from mbnet_jax.evaluation.table import (
    PAPER,
    best_cell,
    heading_of,
    measures_of,
    papers_of,
    per_cent,
    rows_of,
    title_of,
)
from mbnet_jax.report import curves
from mbnet_jax.retrieval import chance_level

MOST_RANKS = 50  # of a CMC curve
# Each rank of the chance level takes a while, so only these are computed.
_CHANCE_RANKS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50)
_TABLE_RANKS = (1, 5, 10, 20, 50)


def results_table(
    protocols: Sequence[Protocol], results: Mapping[str, ProtocolResult]
) -> tuple[list[dict], list[dict]]:
    """Returns the printed table as groups of columns and rows of cells.

    A cell has its `text`, and whether it is the `best` embedding's of its column.
    """
    groups = [
        {
            "title": protocol.title,
            "measures": [*map(heading_of, measures_of(results[protocol.name].values))],
        }
        for protocol in protocols
    ]
    values = {name: result.values for name, result in results.items()}

    def cells(name: str, protocol: Protocol) -> list[dict]:
        own = values[protocol.name]
        measures = measures_of(own)
        if name == PAPER:
            texts = papers_of(protocol.paper, measures)
            return [{"text": text, "best": False} for text in texts]
        found = []
        for measure in measures:
            text = per_cent(own[name], measure)
            best = name != CHANCE and text == best_cell(own, measure)
            found.append({"text": text, "best": best})
        return found

    rows = [
        {
            "title": title_of(name),
            "cells": [c for p in protocols for c in cells(name, p)],
        }
        for name in rows_of(values, protocols)
    ]
    return groups, rows


def headline(protocol: Protocol, result: ProtocolResult) -> dict:
    """Returns what a report says first of a protocol, in per cent.

    Its `title`, the main embedding's `mAP`, `rank1` ("" unless it is in the table) and
    `chance` of mAP; and, if there are several embeddings, the `best` branch's mAP and
    its `branch`, else "".
    """
    values, names = result.values, result.embeddings
    main = values[names[-1]]
    scores = {name: values[name]["mAP"] for name in names[:-1]}
    known = {name: score for name, score in scores.items() if not np.isnan(score)}
    best = max(known, key=known.get) if known else ""
    return {
        "title": protocol.title,
        "mAP": per_cent(main, "mAP"),
        "rank1": per_cent(main, "rank1") if "rank1" in main else "",
        "chance": per_cent(values[CHANCE], "mAP"),
        "best": per_cent(values[best], "mAP") if best else "",
        "branch": title_of(best) if best else "",
    }


def cmc_figure(
    protocol: Protocol,
    result: ProtocolResult,
    embedded: Mapping[str, Embedded],
    seed: int,
) -> dict:
    """Returns a protocol's CMC curves, drawn, and their values at some ranks.

    The curves are means over the draws.
    """
    query, galleries = query_and_galleries(embedded, protocol, seed)
    most = min(MOST_RANKS, len(galleries[0].split))
    ranks = np.arange(1, most + 1)
    lines = {}
    for name, draws in result.metrics.items():
        matched = [m.first_match_rank[m.first_match_rank > 0] for m in draws]
        lines[title_of(name)] = (
            ranks,
            np.mean([(r[:, None] <= ranks).mean(0) for r in matched], axis=0)
            if all(map(len, matched))
            else np.full(most, np.nan),
        )
    chance_ranks = [rank for rank in _CHANCE_RANKS if rank <= most]
    levels = [
        chance_level(
            query.split.labels, g.split.labels, protocol.rule, tuple(chance_ranks)
        )
        for g in galleries
    ]
    chance = {k: np.mean([level[f"rank{k}"] for level in levels]) for k in chance_ranks}
    shown = [rank for rank in _TABLE_RANKS if rank <= most]
    values = {title: [y[rank - 1] for rank in shown] for title, (_, y) in lines.items()}
    values[title_of(CHANCE)] = [chance[rank] for rank in shown]
    return {
        "title": protocol.title,
        "ranks": shown,
        "rows": [
            {"title": title, "cells": [_per_cent(value) for value in row]}
            for title, row in values.items()
        ],
        "svg": curves.cmc(
            f"cmc-{protocol.name}",
            lines,
            (chance_ranks, [*chance.values()]),
            f"CMC curves under {protocol.title}; the table below has their values",
        ),
    }


def _per_cent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"
