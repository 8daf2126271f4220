"""What histograms of similarity say: how well true pairs are told from false ones."""

from typing import NamedTuple

import numpy as np

from mbnet_jax.retrieval.histograms import BINS, Histograms

CENTRES = -1 + (np.arange(BINS) + 0.5) * 2 / BINS


class Separation(NamedTuple):
    """How far apart true and false pairs lie; NaN where either has none.

    Of pairs of all queries together, so that a threshold is one for all: a ranking
    compares those of one query only.

    Attributes:
      true, false: numbers of pairs.
      true_mean, false_mean: mean similarities.
      auc: share of (true pair, false pair) in which the true one is more similar;
        pairs in one bin count half.
      eer: equal error rate, where as large a share of true pairs is below a threshold
        as of false ones above it.
      threshold: of that.
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
    """Exact but for the width of a bin."""
    numbers = [int(counts.sum()) for counts in histograms]
    if not all(numbers):
        return Separation(*numbers, *[np.nan] * 6)
    true, false = (counts / counts.sum() for counts in histograms)
    (true_mean, true_variance), (false_mean, false_variance) = map(_moments, histograms)
    false_below = np.cumsum(false) - false
    missed = np.concatenate([[0], np.cumsum(true)])  # true pairs below each edge
    let_in = 1 - np.concatenate([[0], np.cumsum(false)])  # false ones above it
    edge = int(np.argmin(np.abs(missed - let_in)))
    spread = np.sqrt((true_variance + false_variance) / 2)
    return Separation(
        *numbers,
        true_mean,
        false_mean,
        auc=float(np.sum(true * (false_below + false / 2))),
        eer=float((missed[edge] + let_in[edge]) / 2),
        threshold=-1 + 2 * edge / BINS,
        d_prime=float((true_mean - false_mean) / spread) if spread else np.nan,
    )


def _moments(counts: np.ndarray) -> tuple[float, float]:
    mean = np.average(CENTRES, weights=counts)
    return float(mean), float(np.average((CENTRES - mean) ** 2, weights=counts))
