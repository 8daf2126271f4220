"""The scores of a random ranking: exact expectations, without sampling.

They are for a query with R true matches among N kept gallery items, all orders of
the items being equally likely.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import digamma
from scipy.stats import hypergeom

from mbnet_jax.retrieval.arguments import check_ranks
from mbnet_jax.retrieval.labels import Labels, check_labels, matches_and_junk


def chance_level(
    query: Labels, gallery: Labels, rule: str, ranks: Sequence[int]
) -> dict[str, float]:
    """Computes the expected `mAP`, `mINP` and `rank<k>` of a random ranking.

    Args:
      query: integer labels of the queries.
      gallery: integer labels of the gallery.
      rule: a key of `RULES`.
      ranks: the k of the CMC, each at least 1.

    Returns:
      The means over the queries that have a true match, in 0..1; NaN if none has.

    Raises:
      ValueError: the rule is unknown, or labels are not integer arrays [n], or empty,
        or a rank is not a whole number from 1.
    """
    query, gallery = check_labels("query", query), check_labels("gallery", gallery)
    ranks = check_ranks(ranks)
    match, junk = matches_and_junk(query, gallery, rule)
    counts = np.stack([match.counts, len(gallery.pid) - junk.counts])
    # Queries with the same counts have the same expectation.
    (matches, kept), times = np.unique(
        counts[:, match.counts > 0], axis=1, return_counts=True
    )

    def mean(measure: Callable, *args) -> float:
        if not len(times):
            return np.nan
        return float(np.average(measure(matches, kept, *args), weights=times))

    return {
        **{f"rank{k}": mean(_hit, k) for k in ranks},
        "mAP": mean(_average_precision),
        "mINP": mean(_inverse_negative_penalty),
    }


def _hit(matches: np.ndarray, kept: np.ndarray, rank: int) -> np.ndarray:
    """The probability of at least one match among the first `rank`."""
    return hypergeom.sf(0, kept, matches, np.minimum(min(rank, kept.max()), kept))


def _average_precision(matches: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Bestgen, "Exact expected average precision of the random baseline" (2015)."""
    harmonic = digamma(kept + 1) + np.euler_gamma  # 1 + 1/2 + ... + 1/kept
    others = (matches - 1) / np.maximum(kept - 1, 1)
    return (others * (kept - harmonic) + harmonic) / kept


def _inverse_negative_penalty(matches: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """E[R / last]: the last match has rank N with probability R / N.

    Rank `last - 1` is (last - R) / (last - 1) times as probable as rank `last`.
    """
    return np.array(
        [
            _expected_ratio(int(r), np.arange(n, r - 1, -1))
            for r, n in zip(matches, kept, strict=True)
        ]
    )


def _expected_ratio(r: int, last: np.ndarray) -> float:
    """E[r / last] for the possible ranks `last`, descending from N to r."""
    ratio = (last[:-1] - r) / (last[:-1] - 1)
    probability = r / last[0] * np.cumprod(np.concatenate([[1.0], ratio]))
    return float(np.sum(r / last * probability))
