"""Chance levels against the average over every ranking, and exact fractions."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from mbnet_jax.retrieval import Labels, chance_level


def brute_force(matches: int, kept: int, ranks) -> dict:
    """Averages over all sets of ranks that the matches can have, equally likely."""
    values = {**{f"rank{k}": [] for k in ranks}, "mAP": [], "mINP": []}
    for hit_ranks in itertools.combinations(range(1, kept + 1), matches):
        for k in ranks:
            values[f"rank{k}"].append(hit_ranks[0] <= k)
        hits = np.arange(1, matches + 1)
        values["mAP"].append(np.mean(hits / np.array(hit_ranks)))
        values["mINP"].append(matches / hit_ranks[-1])
    return {name: np.mean(v) for name, v in values.items()}


def labels(pid, camera) -> Labels:
    return Labels(np.array(pid), np.array(camera), np.zeros(len(pid), int))


def one_query(matches: int, kept: int) -> tuple[Labels, Labels]:
    """A query and its gallery, in which one more image is junk and must not count."""
    pid = [7] * (matches + 1) + [1] * (kept - matches)
    return labels([7], [0]), labels(pid, [0] + [1] * kept)


@pytest.mark.parametrize(("matches", "kept"), [(1, 1), (1, 9), (3, 9), (9, 9), (8, 9)])
def test_equals_the_mean_over_all_rankings(matches, kept):
    expected = brute_force(matches, kept, (1, 2, 5))
    found = chance_level(*one_query(matches, kept), "general", (1, 2, 5))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("matches", "kept"), [(1, 2000), (37, 1500), (800, 1500)])
def test_large_galleries_are_exact(matches, kept):
    ranks = (1, 20, 1000)
    misses, ways = kept - matches, math.comb(kept, matches)
    expected = {
        f"rank{k}": 1 - Fraction(math.comb(misses, k), math.comb(kept, k))
        for k in ranks
    }
    expected["mINP"] = sum(
        Fraction(matches * math.comb(last - 1, matches - 1), last * ways)
        for last in range(matches, kept + 1)
    )
    # At rank r, a hit has 1 + (r - 1) (matches - 1) / (kept - 1) hits up to r.
    expected["mAP"] = sum(
        (1 + (rank - 1) * Fraction(matches - 1, kept - 1)) / rank
        for rank in range(1, kept + 1)
    ) / Fraction(kept)
    found = chance_level(*one_query(matches, kept), "general", ranks)
    assert found == pytest.approx({k: float(v) for k, v in expected.items()}, rel=1e-12)


def test_queries_without_a_match_are_left_out():
    gallery = labels([1, 2, 3], [1, 1, 1])
    with_match = chance_level(labels([1], [0]), gallery, "general", (1,))
    both = chance_level(labels([1, 9], [0, 0]), gallery, "general", (1,))
    assert both == with_match
    none = chance_level(labels([9], [0]), gallery, "general", (1,))
    assert np.isnan(none["mAP"]) and np.isnan(none["rank1"])
