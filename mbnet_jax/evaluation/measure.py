"""Evaluation: every embedding under a protocol, as numbers."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mbnet_jax.data import Split
from mbnet_jax.evaluation.embed import Embeddings
from mbnet_jax.evaluation.protocols import Protocol, draw_gallery, participants
from mbnet_jax.retrieval import (
    Reranking,
    RetrievalMetrics,
    chance_level,
    rerank,
    retrieval_metrics,
)
from mbnet_jax.retrieval.k_reciprocal import K1, K2

CHANCE = "chance"
RERANKED = "_reranked"  # ends the name of an embedding that ranks k-reciprocally
DEVIATION = "_deviation"  # ends the name of a measure's deviation over the draws


def is_reranked(name: str) -> bool:
    """Whether that is the name of a re-ranked embedding."""
    return name.endswith(RERANKED)


# embedding -> measure ("rank1", "mAP", ...) -> value in 0..1.
Values = dict[str, dict[str, float]]
Results = dict[str, Values]  # by protocol


@dataclasses.dataclass(frozen=True)
class Embedded:
    """Images with their embeddings, kind -> float32 [n, d]."""

    split: Split
    embeddings: Embeddings

    def subset(self, indices: np.ndarray) -> "Embedded":
        """The images `indices`, in that order."""
        return Embedded(
            self.split.subset(indices),
            {name: rows[indices] for name, rows in self.embeddings.items()},
        )


def sides(
    embedded: dict[str, Embedded], protocol: Protocol, seed: int
) -> tuple[Embedded, list[Embedded]]:
    """The queries that take part in `protocol`, and the gallery of each draw.

    Without draws that is one, the whole gallery. `seed` chooses what is drawn.
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
    """Ranks the gallery for every query by embedding `name`, and judges it."""
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
    """With the usual k1 and k2, or as many as there are images."""
    images = len(query) + len(gallery)
    return rerank(query, gallery, k1=min(K1, images - 1), k2=min(K2, images))


def values_of(metrics: RetrievalMetrics) -> dict[str, float]:
    """The measures by name: rank<k>, mAP, mINP."""
    return {
        **{f"rank{k}": value for k, value in metrics.cmc.items()},
        "mAP": metrics.mAP,
        "mINP": metrics.mINP,
    }


@dataclasses.dataclass(frozen=True)
class Judged:
    """One protocol's outcome.

    Attributes:
      values: of each embedding, of it re-ranked (its name + RERANKED) if asked
        for, and of chance; over draws the mean, and the deviation (of a
        population) under the measure's name + DEVIATION.
      query: the queries.
      metrics: of each embedding, also re-ranked; one a draw (one if none are drawn).
    """

    values: Values
    query: Split
    metrics: dict[str, list[RetrievalMetrics]]

    @property
    def per_draw(self) -> list[RetrievalMetrics]:
        """The last embedding's metrics, not re-ranked."""
        return [of for name, of in self.metrics.items() if not is_reranked(name)][-1]


def judge(
    embedded: dict[str, Embedded],
    protocol: Protocol,
    ranks: Sequence[int],
    seed: int,
    reranked: bool = False,
) -> Judged:
    """Tests every embedding of the test splits under `protocol`.

    `seed` chooses the single-shot galleries; `reranked` adds re-ranked values.
    """
    query, galleries = sides(embedded, protocol, seed)
    metrics = {
        name + (RERANKED if again else ""): [
            rank(query, g, name, protocol.rule, ranks, again) for g in galleries
        ]
        for name in query.embeddings
        for again in ((False, True) if reranked else (False,))
    }
    values = {
        name: _over_draws([values_of(m) for m in drawn])
        for name, drawn in metrics.items()
    }
    values[CHANCE] = _over_draws(
        [
            chance_level(
                query.split.labels, g.split.labels, protocol.rule, tuple(ranks)
            )
            for g in galleries
        ]
    )
    return Judged(values, query.split, metrics)


def _over_draws(draws: list[dict[str, float]]) -> dict[str, float]:
    if len(draws) == 1:
        return draws[0]
    stacked = {name: [values[name] for values in draws] for name in draws[0]}
    return {
        **{name: float(np.mean(values)) for name, values in stacked.items()},
        **{name + DEVIATION: float(np.std(values)) for name, values in stacked.items()},
    }
