"""Evaluates embeddings under protocols; the values as JSON and CSV."""

import csv
import dataclasses
import io
import re
from collections.abc import Mapping, Sequence

import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.protocols import (
    Protocol,
    check_protocols,
    draw_gallery,
    participants,
)
from mbnet_jax.files import encodable
from mbnet_jax.retrieval import (
    Reranking,
    RetrievalMetrics,
    chance_level,
    rerank,
    retrieval_metrics,
)
from mbnet_jax.retrieval.k_reciprocal import K1, K2

CHANCE = "chance"
RERANKED = "_reranked"  # suffix of an embedding's name, if its ranking is re-ranked
STD = "_std"  # suffix of a measure's name, for its standard deviation over draws

# The columns of `queries.csv`.
QUERIES_HEAD = (
    *("protocol", "draw", "file", "person"),
    *("first_match_rank", "average_precision"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how a cell starts one

# embedding -> measure ("rank1", "mAP", ...) -> value in 0..1.
Values = dict[str, dict[str, float]]
Results = dict[str, Values]  # protocol -> its values


@dataclasses.dataclass(frozen=True)
class ProtocolResult:
    """The result of one protocol.

    Attributes:
      values: of each embedding, of its re-ranked ranking (name + RERANKED) if
        requested, and of chance. With several draws: the mean, and the population's
        standard deviation under measure + STD.
      query: the queries.
      metrics: embedding, also re-ranked -> its metrics, one entry per draw (one entry
        if nothing is drawn).
    """

    values: Values
    query: Split
    metrics: dict[str, list[RetrievalMetrics]]

    @property
    def embeddings(self) -> list[str]:
        """The names of the embeddings, without their re-ranked rankings."""
        return [name for name in self.metrics if not is_reranked(name)]

    @property
    def per_draw(self) -> list[RetrievalMetrics]:
        """The metrics of the main embedding, not re-ranked; one entry per draw."""
        return self.metrics[self.embeddings[-1]]


def is_reranked(name: str) -> bool:
    """Returns whether `name` is that of a re-ranked embedding."""
    return name.endswith(RERANKED)


def evaluate_protocols(
    config: ConfigDict, embedded: Mapping[str, Embedded], protocols: Sequence[Protocol]
) -> dict[str, ProtocolResult]:
    """Evaluates every protocol as `config.eval` says: protocol name -> its result."""
    return {
        protocol.name: evaluate_protocol(
            embedded,
            protocol,
            config.eval.ranks,
            config.eval.draw_seed,
            config.eval.rerank,
        )
        for protocol in protocols
    }


def evaluate_protocol(
    embedded: Mapping[str, Embedded],
    protocol: Protocol,
    ranks: Sequence[int],
    seed: int,
    reranked: bool = False,
) -> ProtocolResult:
    """Evaluates every embedding of the test splits under `protocol`.

    Args:
      embedded: split name -> its images, for at least the protocol's splits.
      protocol: which queries meet which gallery, under which rule.
      ranks: of the CMC values.
      seed: of the single-shot galleries.
      reranked: whether to add the values of k-reciprocal re-ranking.

    Raises:
      ValueError: the protocol is wrong, or its embeddings cannot be compared.
    """
    check_protocols([protocol], embedded)
    query, galleries = query_and_galleries(embedded, protocol, seed)
    metrics = {
        name + (RERANKED if again else ""): [
            rank(query, gallery, name, protocol.rule, ranks, again)
            for gallery in galleries
        ]
        for name in query.embeddings
        for again in ((False, True) if reranked else (False,))
    }
    values = {
        name: _over_draws([values_of(m) for m in per_draw])
        for name, per_draw in metrics.items()
    }
    values[CHANCE] = _over_draws(
        [
            chance_level(
                query.split.labels, gallery.split.labels, protocol.rule, tuple(ranks)
            )
            for gallery in galleries
        ]
    )
    return ProtocolResult(values, query.split, metrics)


def query_and_galleries(
    embedded: Mapping[str, Embedded], protocol: Protocol, seed: int
) -> tuple[Embedded, list[Embedded]]:
    """Returns the protocol's queries, and one gallery per draw.

    Without draws, the only entry is the whole gallery. `seed` decides what is drawn.
    """
    query, gallery = embedded[protocol.query], embedded[protocol.gallery]
    query = query.subset(participants(protocol, query.split))
    gallery = gallery.subset(participants(protocol, gallery.split))
    drawn = [
        gallery.subset(draw_gallery(gallery.split.pid, seed, draw))
        for draw in range(protocol.draws)
    ]
    return query, drawn or [gallery]


def rank(
    query: Embedded,
    gallery: Embedded,
    name: str,
    rule: str,
    ranks: Sequence[int],
    reranked: bool = False,
) -> RetrievalMetrics:
    """Ranks the gallery for every query by embedding `name`; returns the metrics."""
    query_rows, gallery_rows = query.embeddings[name], gallery.embeddings[name]
    return retrieval_metrics(
        query_rows,
        query.split.labels,
        gallery_rows,
        gallery.split.labels,
        rule=rule,
        ranks=ranks,
        reranking=_reranking(query_rows, gallery_rows) if reranked else None,
    )


def _reranking(query: np.ndarray, gallery: np.ndarray) -> Reranking:
    """Re-ranks with the usual k1 and k2, or fewer if there are fewer images."""
    images = len(query) + len(gallery)
    return rerank(query, gallery, k1=min(K1, images - 1), k2=min(K2, images))


def values_of(metrics: RetrievalMetrics) -> dict[str, float]:
    """Returns the measures by name: rank<k>, mAP, mINP."""
    return {
        **{f"rank{k}": value for k, value in metrics.cmc.items()},
        "mAP": metrics.mAP,
        "mINP": metrics.mINP,
    }


def _over_draws(draws: list[dict[str, float]]) -> dict[str, float]:
    if len(draws) == 1:
        return draws[0]
    stacked = {name: [values[name] for values in draws] for name in draws[0]}
    return {
        **{name: float(np.mean(values)) for name, values in stacked.items()},
        **{name + STD: float(np.std(values)) for name, values in stacked.items()},
    }


def metrics_content(
    name: str,
    step: int,
    protocols: Sequence[Protocol],
    results: Mapping[str, ProtocolResult],
    notes: Sequence[str],
    more: Mapping[str, object] | None = None,
) -> dict:
    """Returns the content of `metrics.json`: every value, protocols and notes.

    A mean over no queries is None: JSON has no NaN.

    `name` and `step` are the config's name and the checkpoint's step; `more` are
    further entries.
    """
    return {
        "name": name,
        "step": step,
        **(more or {}),
        "results": {p.name: _without_nan(results[p.name].values) for p in protocols},
        "protocols": {p.name: _described(p, results[p.name]) for p in protocols},
        "notes": list(notes),
    }


def _without_nan(values: Values) -> dict:
    return {
        name: {k: None if np.isnan(v) else v for k, v in measures.items()}
        for name, measures in values.items()
    }


def _described(protocol: Protocol, result: ProtocolResult) -> dict:
    """The protocol's entry in `metrics.json`; cameras count from 0."""
    paper = protocol.paper and dict(zip(("rank1", "mAP"), protocol.paper, strict=True))
    return protocol._asdict() | {
        "paper": paper,
        "ranked": result.query.unit,
        "queries": len(result.query),
        "queries_with_a_match": result.per_draw[0].num_queries,
    }


def queries_csv(results: Mapping[str, ProtocolResult]) -> str:
    """Returns the text of `queries.csv`: one line per protocol, draw and query.

    The file of a query that is a tracklet is its middle image. Persons are named as the
    dataset names them. The scores of a query without a true match are empty.
    Replacement characters stand for what UTF-8 cannot encode.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(QUERIES_HEAD)
    for name, result in results.items():
        for draw, metrics in enumerate(result.per_draw):
            for index, (first, precision) in enumerate(
                zip(metrics.first_match_rank, metrics.average_precision, strict=True)
            ):
                file = spreadsheet_cell(result.query.names[index], "./")
                person = spreadsheet_cell(result.query.shown(index).person, "'")
                score = (first, f"{precision:.6f}") if first else ("", "")
                writer.writerow([name, draw, file, person, *score])
    return encodable(text.getvalue())


def spreadsheet_cell(text: str, guard: str) -> str:
    """A text that no spreadsheet takes for a formula: it starts with `guard` then.

    "./=1.jpg" is the same file as "=1.jpg", and spreadsheets mark text by an
    apostrophe. A number is no formula.
    """
    is_formula = text.startswith(_FORMULA) and not re.fullmatch(r"[+-][0-9]+", text)
    return guard + text if is_formula else text
