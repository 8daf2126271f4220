"""What ranking at random would score: exact expectations, no sampling.

For a query with R true matches among N kept gallery items, every order of the
items being equally likely.
"""

import numpy as np

from mbnet_jax.retrieval.labels import RULES, Labels


def _counts(query: Labels, gallery: Labels, rule: str) -> np.ndarray:
    """Rows (R, N), int [queries with a match, 2]."""
    junk_of = RULES[rule]
    rows = []
    for pid, camera, clothes in zip(*query, strict=True):
        same = gallery.pid == pid
        junk = same & junk_of(gallery.camera == camera, gallery.clothes == clothes)
        rows.append((same.sum() - junk.sum(), len(same) - junk.sum()))
    counts = np.array(rows)
    return counts[counts[:, 0] > 0]


def _log_choose(n: int, k: np.ndarray | int) -> np.ndarray:
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    return log_factorial[n] - log_factorial[k] - log_factorial[n - k]


def _average_precision(matches: int, kept: int) -> float:
    """Bestgen, "Exact expected average precision of the random baseline" (2015)."""
    harmonic = np.sum(1 / np.arange(1, kept + 1))
    if kept == 1:
        return 1.0
    rest = (matches - 1) / (kept - 1) * (kept - harmonic)
    return float((rest + harmonic) / kept)


def _inverse_negative_penalty(matches: int, kept: int) -> float:
    """E[R / last], where C(last - 1, R - 1) of C(N, R) placings end at `last`."""
    last = np.arange(matches, kept + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, kept + 1)))])
    log_ways = (
        log_factorial[last - 1]
        - log_factorial[matches - 1]
        - log_factorial[last - matches]
    )
    chance = np.exp(log_ways - _log_choose(kept, matches))
    return float(np.sum(matches / last * chance))


def _hit(matches: int, kept: int, rank: int) -> float:
    """Chance of a match among the first `rank`: one less that all miss."""
    misses = kept - matches
    if rank > misses:
        return 1.0
    return float(1 - np.exp(_log_choose(misses, rank) - _log_choose(kept, rank)))


def chance_level(
    query: Labels, gallery: Labels, rule: str, ranks: tuple[int, ...]
) -> dict[str, float]:
    """Expected `mAP`, `mINP` and `rank<k>` of a random ranking, each in 0..1.

    NaN where no query has a true match.
    """
    different, times = np.unique(
        _counts(query, gallery, rule).reshape(-1, 2), axis=0, return_counts=True
    )
    if not len(different):
        return dict.fromkeys([*(f"rank{k}" for k in ranks), "mAP", "mINP"], np.nan)

    def mean(measure, *args) -> float:
        values = [measure(int(r), int(n), *args) for r, n in different]
        return float(np.average(values, weights=times))

    return {
        **{f"rank{k}": mean(_hit, k) for k in ranks},
        "mAP": mean(_average_precision),
        "mINP": mean(_inverse_negative_penalty),
    }
