"""Re-ranking against the dense original, and within memory for sparse rows alone."""

import tracemalloc

import jax
import numpy as np
import pytest
import rerank_reference as reference
from retrieval_reference import metrics as reference_metrics
from retrieval_reference import random_features, random_labels

from mbnet_jax.retrieval import (
    k_reciprocal,
    neighbours,
    rerank,
    retrieval_metrics,
    top_k,
)

# Numbers of images that several of these share compile once.
QUERIES, GALLERY, WIDTH = 40, 160, 16


def clustered(rng, size, people, spread=0.5):
    """Features of `people` clusters; spread is a cluster's deviation."""
    centre = np.random.default_rng(people).standard_normal((people, WIDTH))
    noise = spread * rng.standard_normal((size, WIDTH))
    return (centre[rng.integers(0, people, size)] + noise).astype(np.float32)


def distances(reranking, query, gallery, metric="cosine"):
    """All re-ranked distances [Q, G], as the documentation defines them."""
    original = reference.squared_distances(query, gallery, metric)
    original = original[: len(query), len(query) :]
    overlap = np.zeros(original.shape)
    row = np.repeat(np.arange(len(query)), np.diff(reranking.indptr))
    assert (reranking.values > 0).all()
    assert (np.diff(row * len(gallery) + reranking.indices) > 0).all()
    overlap[row, reranking.indices] = reranking.values
    weight = reranking.lambda_value
    farthest = reranking.farthest[:, None]
    return (1 - weight) * (1 - overlap) + weight * original / farthest


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    ("people", "k1", "k2", "lambda_value"),
    [
        (0, 20, 6, 0.3),  # no clusters
        (12, 20, 6, 0.3),
        (40, 20, 6, 0.3),
        (12, 7, 1, 0.0),  # k1 / 2 is rounded to even: 4 and 2
        (12, 5, 9, 0.8),
        (12, 1, 2, 0.5),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_the_dense_original(seed, people, k1, k2, lambda_value, metric):
    rng = np.random.default_rng(seed)
    query, gallery = (
        clustered(rng, size, people) if people else random_features(rng, "random", size)
        for size in (QUERIES, GALLERY)
    )
    options = dict(k1=k1, k2=k2, lambda_value=lambda_value, metric=metric)
    found = rerank(query, gallery, **options)
    expected = reference.rerank(query, gallery, **options)
    np.testing.assert_allclose(
        distances(found, query, gallery, metric), expected, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_ties_and_copies(metric):
    # Of these features there are 16 alone, so an image has more copies than
    # neighbours; products are exact, and nearly all distances tie.
    rng = np.random.default_rng(3)
    query, gallery = (random_features(rng, "tied", n, 4) for n in (QUERIES, GALLERY))
    options = dict(k1=5, k2=3, metric=metric)
    np.testing.assert_allclose(
        distances(rerank(query, gallery, **options), query, gallery, metric),
        reference.rerank(query, gallery, **options),
        rtol=0,
        atol=1e-5,
    )


def test_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(4)
    query, gallery = (clustered(rng, size, 12) for size in (QUERIES, GALLERY))
    whole = rerank(query, gallery)
    for module, size, rows in (
        (k_reciprocal, "_IMAGES", 7),
        (k_reciprocal, "_TERMS", 10_000),
        (neighbours, "_PAIRS", 9),
    ):
        monkeypatch.setattr(module, size, rows)
    cut = rerank(query, gallery)
    np.testing.assert_array_equal(cut.indptr, whole.indptr)
    np.testing.assert_array_equal(cut.indices, whole.indices)
    np.testing.assert_allclose(cut.values, whole.values, atol=1e-6)


@pytest.mark.parametrize(("queries", "items", "k1", "k2"), [(1, 1, 1, 2), (2, 3, 4, 5)])
def test_few_images(queries, items, k1, k2):
    rng = np.random.default_rng(0)
    query, gallery = (random_features(rng, "random", n) for n in (queries, items))
    np.testing.assert_allclose(
        distances(rerank(query, gallery, k1=k1, k2=k2), query, gallery),
        reference.rerank(query, gallery, k1, k2),
        rtol=0,
        atol=1e-5,
    )


def test_images_that_are_all_the_same():
    rows = np.ones((30, WIDTH), np.float32)
    found = rerank(rows[:10], rows[10:], k1=3, metric="euclidean")
    assert (found.farthest == 1).all()
    assert (found.values > 0).all() and (found.values <= 1 + 1e-6).all()


def test_lists_and_metrics_of_re_ranked_distances():
    rng = np.random.default_rng(6)
    query, gallery = (clustered(rng, size, 12, 1.0) for size in (QUERIES, GALLERY))
    labels = random_labels(rng, QUERIES), random_labels(rng, GALLERY)
    reranking = rerank(query, gallery)
    expected = reference.rerank(query, gallery)
    values, indices = top_k(query, gallery, 30, reranking=reranking)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :30])
    np.testing.assert_allclose(-values, np.sort(expected, axis=1)[:, :30], atol=1e-5)

    def of(reranking):
        return retrieval_metrics(
            query, labels[0], gallery, labels[1], reranking=reranking
        )

    _, _, _, precision, first = reference_metrics(-expected, *labels, "general", (1,))
    np.testing.assert_array_equal(of(reranking).first_match_rank, first)
    np.testing.assert_allclose(
        of(reranking).average_precision, precision, rtol=0, atol=1e-6
    )
    assert (of(None).first_match_rank != first).any()


def test_the_original_distance_alone_leaves_the_ranking():
    rng = np.random.default_rng(7)
    query, gallery = (clustered(rng, size, 12) for size in (QUERIES, GALLERY))
    reranking = rerank(query, gallery, lambda_value=1)
    _, expected = top_k(query, gallery, GALLERY)
    _, indices = top_k(query, gallery, GALLERY, reranking=reranking)
    np.testing.assert_array_equal(indices, expected)


def test_memory_is_far_below_an_entry_for_each_pair_of_images():
    rng = np.random.default_rng(8)
    query, gallery = (clustered(rng, size, 300) for size in (1000, 5000))
    tracemalloc.start()
    try:
        reranking = rerank(query, gallery)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(reranking.values) > 10 * len(query)
    assert peak < 6000**2  # one byte a pair


def test_features_on_devices():
    rng = np.random.default_rng(9)
    rows = clustered(rng, QUERIES + GALLERY, 12)
    mesh = jax.make_mesh((8,), ("data",))
    split = jax.NamedSharding(mesh, jax.P("data"))
    found = rerank(
        jax.device_put(rows[:QUERIES], split),
        jax.device_put(rows[QUERIES:], split),
        mesh=mesh,
    )
    np.testing.assert_allclose(
        distances(found, rows[:QUERIES], rows[QUERIES:]),
        reference.rerank(rows[:QUERIES], rows[QUERIES:]),
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"k1": 30},
            "k1 must be a whole number from 1 to the 29 other images",
        ),
        ({"k1": 0}, "k1 must be .*, got 0"),
        ({"k1": 2.5}, "k1 must be .*, got 2.5"),
        ({"k2": 0}, "k2 must be .*, got 0"),
        ({"k2": 31}, "k2 must be a whole number from 1 to the 30 images"),
        ({"lambda_value": -0.1}, "lambda_value must be from 0 to 1, got -0.1"),
        ({"lambda_value": 1.5}, "lambda_value must be from 0 to 1, got 1.5"),
        ({"lambda_value": np.nan}, "lambda_value must be from 0 to 1, got nan"),
        ({"metric": "manhattan"}, "metric 'manhattan' is unknown"),
    ],
)
def test_options_out_of_range(options, message):
    rng = np.random.default_rng(0)
    query, gallery = (random_features(rng, "random", size) for size in (10, 20))
    with pytest.raises(ValueError, match=message):
        rerank(query, gallery, **{"k1": 5, "k2": 3, **options})


def test_features_that_are_no_features():
    rows = np.ones((10, WIDTH), np.float32)
    with pytest.raises(ValueError, match="gallery must be"):
        rerank(rows, rows[:0])
    with pytest.raises(ValueError, match="differ in width: 16 and 15"):
        rerank(rows, rows[:, 1:])
    bad = rows.copy()
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match="gallery row 3 "):
        rerank(rows, bad, k1=5)
    with pytest.raises(ValueError, match="query row 3 "):
        rerank(bad, rows, k1=5)
