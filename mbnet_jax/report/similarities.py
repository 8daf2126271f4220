"""How well one similarity threshold separates true pairs from false ones."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import query_and_galleries
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.report import curves
from mbnet_jax.retrieval import similarity_histograms
from mbnet_jax.retrieval.histograms import BINS, Histograms

CENTRES = -1 + (np.arange(BINS) + 0.5) * 2 / BINS


class Separation(NamedTuple):
    """How far apart true and false pairs lie; NaN if there are none of either.

    The pairs of all queries are pooled, as for one threshold. A ranking compares only
    pairs of the same query.

    Attributes:
      true, false: numbers of pairs.
      true_mean, false_mean: mean similarities.
      auc: probability that a true pair is more similar than a false one; pairs in the
        same bin count half.
      eer: equal error rate, where the share of true pairs below the threshold equals
        the share of false pairs above it.
      threshold: the threshold of the equal error rate.
      d_prime: difference of the means over the root of the mean variance.
    """

    true: int
    false: int
    true_mean: float
    false_mean: float
    auc: float
    eer: float
    threshold: float
    d_prime: float


def separation(histograms: Histograms) -> Separation:
    """Computes the separation, exact to the width of a bin."""
    numbers = [int(counts.sum()) for counts in histograms]
    if not all(numbers):
        return Separation(*numbers, *[np.nan] * 6)
    true, false = (counts / counts.sum() for counts in histograms)
    (true_mean, true_variance), (false_mean, false_variance) = map(_moments, histograms)
    false_below = np.cumsum(false) - false
    rejected = np.concatenate([[0], np.cumsum(true)])  # true pairs below each edge
    accepted = 1 - np.concatenate([[0], np.cumsum(false)])  # false pairs above it
    edge = int(np.argmin(np.abs(rejected - accepted)))
    std = np.sqrt((true_variance + false_variance) / 2)
    return Separation(
        *numbers,
        true_mean,
        false_mean,
        auc=float(np.sum(true * (false_below + false / 2))),
        eer=float((rejected[edge] + accepted[edge]) / 2),
        threshold=-1 + 2 * edge / BINS,
        d_prime=float((true_mean - false_mean) / std) if std else np.nan,
    )


def _moments(counts: np.ndarray) -> tuple[float, float]:
    mean = np.average(CENTRES, weights=counts)
    return float(mean), float(np.average((CENTRES - mean) ** 2, weights=counts))


def similarity_figures(
    protocol: Protocol, embedded: Mapping[str, Embedded], seed: int
) -> dict:
    """Returns a histogram of a protocol's pairs per embedding, drawn and in numbers.

    With several draws, the pairs are those of the first gallery. The list is empty if
    there are no true pairs or no false ones.
    """
    query, (gallery, *_) = query_and_galleries(embedded, protocol, seed)
    mesh = make_mesh(jax.local_devices())  # a single process writes the report
    histograms = {
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
    figures = []
    for name, pairs in histograms.items():
        separated = separation(pairs)
        if not separated.true or not separated.false:  # the same for all embeddings
            break
        summary = _summary(separated)
        svg = curves.similarities(
            f"similarity-{protocol.name}-{name}",
            pairs,
            curves.extent(histograms.values()),
            f"Similarity by {title_of(name)} under {protocol.title}: {summary}",
        )
        figures.append(
            {
                "title": title_of(name),
                "svg": svg,
                "separation": separated,
                "summary": summary,
            }
        )
    return {"title": protocol.title, "figures": figures}


def _summary(separated: Separation) -> str:
    return (
        f"a true pair is more similar than a false one in {100 * separated.auc:.1f} % "
        f"of the cases (AUC); at a threshold of {separated.threshold:.3f}, "
        f"{100 * separated.eer:.1f} % of the true pairs are rejected, and the same "
        "share of the false pairs is accepted (EER)"
    )
