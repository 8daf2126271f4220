"""Evaluation: every embedding under every protocol, as numbers and as a table."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mbnet_jax.data import Dataset
from mbnet_jax.evaluation.embed import Embeddings
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.retrieval import chance_level, retrieval_metrics

CHANCE = "chance"
TITLES = {
    "global": "global branch",
    "clothing_unrelated": "clothing-unrelated branch",
    "mask": "mask branch",
    "all": "all",
    CHANCE: "chance",
}

# protocol -> embedding -> measure ("rank1", "mAP", ...) -> value in 0..1.
Results = dict[str, dict[str, dict[str, float]]]


@dataclasses.dataclass(frozen=True)
class EmbeddedSplits:
    """A dataset with the embeddings of the splits that a protocol needs."""

    dataset: Dataset
    embeddings: dict[str, Embeddings]  # split -> kind of embedding -> [n, d]


def measure(
    embedded: EmbeddedSplits,
    protocol: Protocol,
    ranks: Sequence[int],
    only: str | None = None,
) -> dict[str, dict[str, float]]:
    """Values of each embedding (or `only` one) and of chance, under `protocol`."""
    query = getattr(embedded.dataset, protocol.query)
    gallery = getattr(embedded.dataset, protocol.gallery)
    query_rows = embedded.embeddings[protocol.query]
    gallery_rows = embedded.embeddings[protocol.gallery]
    values = {}
    for name in query_rows if only is None else (only,):
        metrics = retrieval_metrics(
            query_rows[name],
            query.labels,
            gallery_rows[name],
            gallery.labels,
            rule=protocol.rule,
            ranks=ranks,
        )
        values[name] = {
            **{f"rank{k}": metrics.cmc[k] for k in ranks},
            "mAP": metrics.mAP,
            "mINP": metrics.mINP,
        }
    values[CHANCE] = chance_level(
        query.labels, gallery.labels, protocol.rule, tuple(ranks)
    )
    return values


def format_table(results: Results) -> str:
    """One row per embedding, one group of columns per protocol; per cent."""
    first = next(iter(results.values()))
    measures = list(next(iter(first.values())))
    heads = [m.replace("rank", "R") for m in measures]
    label_width = max(len(TITLES[name]) for name in first)
    group_width = 6 * len(heads)
    groups = "".join(f" |{name.replace('_', '-'):^{group_width}}" for name in results)
    columns = "".join(f"{head:>6}" for head in heads)
    lines = [
        " " * label_width + groups,
        " " * label_width + f" |{columns}" * len(results),
    ]
    lines.append("-" * len(lines[-1]))
    for name in first:
        cells = "".join(
            " |"
            + "".join(
                f"{_per_cent(results[protocol][name][measure]):>6}"
                for measure in measures
            )
            for protocol in results
        )
        lines.append(f"{TITLES[name]:<{label_width}}{cells}")
    return "\n".join(line.rstrip() for line in lines)


def _per_cent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"
