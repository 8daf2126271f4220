import itertools

import numpy as np
import pytest

from mbnet_jax.retrieval import Labels, chance_level


def brute_force(matches: int, kept: int, ranks) -> dict:
    """Averages over every placing of the matches, each equally likely."""
    values = {**{f"rank{k}": [] for k in ranks}, "mAP": [], "mINP": []}
    for places in itertools.combinations(range(1, kept + 1), matches):
        for k in ranks:
            values[f"rank{k}"].append(places[0] <= k)
        hits = np.arange(1, matches + 1)
        values["mAP"].append(np.mean(hits / np.array(places)))
        values["mINP"].append(matches / places[-1])
    return {name: np.mean(v) for name, v in values.items()}


def labels(pid, camera) -> Labels:
    return Labels(np.array(pid), np.array(camera), np.zeros(len(pid), int))


@pytest.mark.parametrize(("matches", "kept"), [(1, 1), (1, 9), (3, 9), (9, 9), (8, 9)])
def test_equals_the_mean_over_all_rankings(matches, kept):
    query = labels([7], [0])
    # One image in the query's camera is junk and must not count.
    gallery = labels([7] * (matches + 1) + [1] * (kept - matches), [0] + [1] * kept)
    expected = brute_force(matches, kept, (1, 2, 5))
    assert chance_level(query, gallery, "general", (1, 2, 5)) == pytest.approx(expected)


def test_queries_without_a_match_are_left_out():
    gallery = labels([1, 2, 3], [1, 1, 1])
    with_match = chance_level(labels([1], [0]), gallery, "general", (1,))
    both = chance_level(labels([1, 9], [0, 0]), gallery, "general", (1,))
    assert both == with_match
    none = chance_level(labels([9], [0]), gallery, "general", (1,))
    assert np.isnan(none["mAP"]) and np.isnan(none["rank1"])
