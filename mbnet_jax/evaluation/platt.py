"""Fits and judges the probability that a pair of images shows one person."""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from mbnet_jax.retrieval.verification import Curve

_BINS = 10  # of predicted probabilities, of equal width


class Reliability(NamedTuple):
    """Predicted probabilities against shares of true pairs, by bin of the former.

    Pairs are weighted as if true and false ones were equally many.

    Attributes:
      predicted: mean probability, float64 [bins]; NaN in a bin without pairs.
      observed: share of true pairs, float64 [bins]; NaN in a bin without pairs.
      weight: share of all pairs, float64 [bins].
      error: expected calibration error, the weighted mean of |predicted - observed|.
    """

    predicted: np.ndarray
    observed: np.ndarray
    weight: np.ndarray
    error: float


def fit_platt(curve: Curve) -> tuple[float, float]:
    """Fits slope and offset: probability = sigmoid(slope * similarity + offset).

    Logistic regression on all pairs of a ROC, true and false pairs having the same
    total weight, with Platt's targets, which keep it finite where the two are separate
    (Platt, "Probabilistic outputs for support vector machines", 1999).

    Args:
      curve: of at least one true and one false pair.
    """
    similarity, counts = _pairs(curve)
    total = counts.sum(1, keepdims=True)
    weights = counts / total / 2
    # A true pair has the target (n + 1) / (n + 2), a false one 1 / (n + 2).
    targets = (total[:, 0] * [1, 0] + 1) / (total[:, 0] + 2)
    mean = np.average(similarity, weights=weights.sum(0))
    spread = np.sqrt(np.average((similarity - mean) ** 2, weights=weights.sum(0)))
    scaled = (similarity - mean) / (spread or 1.0)

    def loss(parameters):
        odds = parameters[0] * scaled + parameters[1]
        # -(t log p + (1 - t) log(1 - p)) = log(1 + exp(odds)) - t odds
        each = np.logaddexp(0, odds) - targets[:, None] * odds
        slope = weights * (special.expit(odds) - targets[:, None])
        return (weights * each).sum(), np.array([(slope * scaled).sum(), slope.sum()])

    found = optimize.minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    slope = found[0] / (spread or 1.0)
    return float(slope), float(found[1] - slope * mean)


def reliability(curve: Curve, slope: float, offset: float) -> Reliability:
    """Compares the probabilities of all pairs of a ROC with what the pairs are.

    Args:
      curve: of at least one true and one false pair.
      slope, offset: as in `fit_platt`.
    """
    similarity, counts = _pairs(curve)
    probability = special.expit(slope * similarity + offset)
    true, false = counts / counts.sum(1, keepdims=True) / 2
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)

    def summed(values):
        return np.bincount(bins, values, minlength=_BINS)

    weight = summed(true + false)
    with np.errstate(invalid="ignore"):
        predicted = summed((true + false) * probability) / weight
        observed = summed(true) / weight
    error = np.nansum(weight * np.abs(predicted - observed))
    return Reliability(predicted, observed, weight, float(error))


def _pairs(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Similarities float64 [n], and numbers of true and of false pairs, [2, n]."""
    counts = np.diff(np.stack([curve.true, curve.false]), axis=1)
    return curve.thresholds[1:].astype(np.float64), counts
