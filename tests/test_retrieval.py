"""Metrics against handmade matrices, and against a plain NumPy ranking."""

import math

import numpy as np
import pytest
import retrieval_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from retrieval_reference import angles, random_features, random_labels

from mbnet_jax import retrieval
from mbnet_jax.retrieval import Labels, retrieval_metrics

RANKS = (1, 5, 10, 20)


def assert_equal_to_reference(query, query_labels, gallery, gallery_labels, rule, **kw):
    found = retrieval_metrics(
        query, query_labels, gallery, gallery_labels, rule=rule, ranks=RANKS, **kw
    )
    similarity = reference.similarities(query, gallery)
    mean_ap, mean_inp, cmc, ap, first = reference.metrics(
        similarity, query_labels, gallery_labels, rule, RANKS
    )
    np.testing.assert_array_equal(found.first_match_rank, first)
    np.testing.assert_allclose(found.average_precision, ap, atol=1e-6)
    np.testing.assert_allclose([found.mAP, found.mINP], [mean_ap, mean_inp], atol=1e-6)
    np.testing.assert_allclose(list(found.cmc.values()), list(cmc.values()), atol=1e-6)
    assert list(found.cmc) == list(RANKS)
    assert found.num_queries == (first > 0).sum()


# pid, camera, clothes of gallery items, nearest first. The query is (1, 1, 1).
BY_HAND = [
    (1, 1, 1),  # junk under every rule
    (2, 2, 5),
    (1, 2, 1),
    (1, 2, 2),
    (3, 1, 1),  # another person in the query's camera and clothes is kept
    (1, 3, 1),
    (1, 1, 2),  # junk under every rule
]


@pytest.mark.parametrize(
    ("rule", "hit_ranks"),
    [("general", [2, 3, 5]), ("same_clothes", [2, 4]), ("clothes_changing", [2])],
)
def test_rules_by_hand(rule, hit_ranks):
    order = np.random.default_rng(0).permutation(len(BY_HAND))
    gallery = angles(np.arange(10, 80, 10))[order]
    gallery_labels = Labels(*np.array(BY_HAND)[order].T)
    # The second query's person is not in the gallery: the query is dropped.
    query_labels = Labels(np.array([1, 9]), np.array([1, 1]), np.array([1, 1]))
    found = retrieval_metrics(
        angles([0, 5]), query_labels, gallery, gallery_labels, rule=rule, ranks=(1, 2)
    )
    expected_ap = np.mean([(i + 1) / rank for i, rank in enumerate(hit_ranks)])
    assert found.mAP == pytest.approx(expected_ap)
    assert found.mINP == pytest.approx(len(hit_ranks) / hit_ranks[-1])
    assert found.cmc == {1: 0.0, 2: 1.0}
    assert found.num_queries == 1
    np.testing.assert_array_equal(found.first_match_rank, [2, 0])
    np.testing.assert_allclose(found.average_precision, [expected_ap, math.nan])


@pytest.mark.parametrize("match_at", range(4))
def test_ties_are_broken_by_gallery_order(match_at):
    gallery = np.repeat(angles([30]), 4, axis=0)
    gallery_labels = Labels(
        pid=np.where(np.arange(4) == match_at, 1, 2),
        camera=np.full(4, 2),
        clothes=np.full(4, 1),
    )
    query_labels = Labels(np.array([1]), np.array([1]), np.array([1]))
    found = retrieval_metrics(angles([0]), query_labels, gallery, gallery_labels)
    assert found.first_match_rank[0] == match_at + 1
    assert found.mAP == pytest.approx(1 / (match_at + 1))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["random", "tied", "duplicated"]),
    num_query=st.integers(1, 20),
    num_gallery=st.integers(1, 200),
    people=st.sampled_from([1, 6, 40]),  # from only matches to mostly none
    rule=st.sampled_from(sorted(retrieval.RULES)),
    gallery_block=st.sampled_from([64, 128]),
)
def test_equals_reference(
    seed, kind, num_query, num_gallery, people, rule, gallery_block
):
    rng = np.random.default_rng(seed)
    assert_equal_to_reference(
        random_features(rng, kind, num_query),
        random_labels(rng, num_query, people),
        random_features(rng, kind, num_gallery),
        random_labels(rng, num_gallery, people),
        rule,
        block_rows=(8, gallery_block),
    )


@pytest.mark.parametrize("num_query", [7, 8, 9])
@pytest.mark.parametrize("num_gallery", [127, 128, 129, 255, 256, 257])
def test_block_boundaries(num_query, num_gallery):
    rng = np.random.default_rng(num_query + num_gallery)
    assert_equal_to_reference(
        random_features(rng, "tied", num_query),
        random_labels(rng, num_query),
        random_features(rng, "tied", num_gallery),
        random_labels(rng, num_gallery),
        "general",
        block_rows=(8, 128),
    )


def test_duplicates_tie_at_any_position():
    """Blocks are as large as real ones, and products inexact."""
    rng = np.random.default_rng(3)
    assert_equal_to_reference(
        random_features(rng, "random", 300, width=321),
        random_labels(rng, 300),
        random_features(rng, "duplicated", 4500, width=321),
        random_labels(rng, 4500, people=60),
        "clothes_changing",
    )


def test_the_length_of_rows_does_not_matter():
    rng = np.random.default_rng(1)
    query, gallery = (random_features(rng, "random", n) for n in (20, 90))
    query_labels, gallery_labels = random_labels(rng, 20), random_labels(rng, 90)
    plain = retrieval_metrics(query, query_labels, gallery, gallery_labels)
    # Powers of two change no digit; the largest are near the allowed limit.
    scaled = retrieval_metrics(
        query * np.exp2(rng.integers(-45, 55, (20, 1))),
        query_labels,
        gallery * np.exp2(rng.integers(-45, 55, (90, 1))).astype(np.float32),
        gallery_labels,
    )
    assert scaled.mAP == plain.mAP
    np.testing.assert_array_equal(scaled.first_match_rank, plain.first_match_rank)


def test_no_query_with_a_true_match():
    features = angles([0, 10])
    labels = Labels(np.array([1, 2]), np.array([1, 1]), np.array([1, 1]))
    found = retrieval_metrics(features, labels, features, labels)
    assert found.num_queries == 0
    assert math.isnan(found.mAP) and math.isnan(found.mINP)
    assert all(math.isnan(value) for value in found.cmc.values())


GOOD = {
    "query": angles([0, 10]),
    "query_labels": Labels(np.array([1, 2]), np.array([1, 1]), np.array([1, 1])),
    "gallery": angles([20, 30, 40]),
    "gallery_labels": Labels(np.arange(3), np.arange(3), np.arange(3)),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gallery": np.array([[1, 0], [0, 0], [0, 1.0]])}, "gallery row 1 .*zeros"),
        ({"query": np.array([[1, 0], [np.nan, 1]])}, "query row 1 .*nan"),
        # Query 0 has no true match; its features are checked all the same.
        ({"query": np.array([[0, 0], [1, 1]])}, "query row 0 .*zeros"),
        ({"gallery": np.array([[np.inf, 0], [1, 0], [0, 1]])}, "gallery row 0 .*inf"),
        ({"gallery": np.ones((3, 5))}, "differ in width: 2 and 5"),
        ({"gallery": np.ones((0, 2))}, r"gallery must be .*not empty.*\[0, 2\]"),
        ({"query": np.ones(2)}, r"query must be \[rows, features\].*\[2\]"),
        ({"query": np.array([["a", "b"]])}, "query must hold real numbers"),
        (
            {"query_labels": Labels(np.array([1]), np.array([1]), np.array([1]))},
            "query_labels.pid has 1 entries for 2 feature rows",
        ),
        (
            {"gallery_labels": GOOD["gallery_labels"]._replace(camera=np.ones(3))},
            "gallery_labels.camera must be an integer array",
        ),
        ({"rule": "strict"}, "rule 'strict' is unknown; choose from.*general"),
        ({"ranks": (0, 1)}, "ranks must be whole numbers from 1"),
        ({"ranks": ()}, "ranks must be whole numbers from 1"),
        ({"block_rows": (0, 64)}, "block_rows must be"),
        ({"metric": "manhattan"}, "metric 'manhattan' is unknown; choose from"),
        ({"dtype": "float16"}, "dtype 'float16' is unknown; choose from"),
    ],
)
def test_bad_input_is_rejected(change, message):
    with pytest.raises(ValueError, match=message):
        retrieval_metrics(**{**GOOD, **change})
