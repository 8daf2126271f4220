"""Re-ranking against the dense original, and its memory."""

import tracemalloc

import jax
import numpy as np
import pytest
import rerank_reference as reference
from retrieval_reference import metrics as reference_metrics
from retrieval_reference import random_features, random_labels

from mbnet_jax.retrieval import (
    k_reciprocal,
    rerank,
    reranking,
    retrieval_metrics,
    top_k,
)

# Shared by several tests, so that they compile once.
QUERIES, GALLERY, WIDTH = 40, 160, 16


def clustered(rng, size, people):
    """Features in `people` clusters; 0: without clusters."""
    if not people:
        return random_features(rng, "random", size, WIDTH)
    centre = np.random.default_rng(people).standard_normal((people, WIDTH))
    noise = 0.5 * rng.standard_normal((size, WIDTH))
    return (centre[rng.integers(0, people, size)] + noise).astype(np.float32)


def features(seed, people, k1=20, k2=6, metric="cosine", **_):
    """Queries and gallery whose neighbour lists do not depend on rounding."""
    rng = np.random.default_rng(seed)
    cuts = (k1 + 1, round(k1 / 2) + 1, k2)
    while True:
        query, gallery = (clustered(rng, size, people) for size in (QUERIES, GALLERY))
        every = reference.squared_distances(query, gallery, metric)
        if reference.smallest_gap(every, cuts) > 5e-6:
            return query, gallery


def assert_equal_to_the_original(found, query, gallery, metric="cosine", **options):
    """Compares all distances, computed as `Reranking` defines them."""
    overlap = found.overlap(np.arange(len(query))).toarray()
    plain = reference.squared_distances(query, gallery, metric)
    plain = plain[: len(query), len(query) :] / found.farthest[:, None]
    distances = (1 - found.lambda_value) * (1 - overlap) + found.lambda_value * plain
    expected = reference.rerank(query, gallery, metric=metric, **options)
    np.testing.assert_allclose(distances, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    ("people", "k1", "k2", "lambda_value"),
    [
        (0, 20, 6, 0.3),
        (12, 20, 6, 0.3),
        (40, 20, 6, 0.3),
        (12, 7, 1, 0.0),  # half of k1 is rounded to even: 7 gives 4, 5 gives 2
        (12, 5, 8, 0.8),
        (12, 1, 2, 0.5),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_the_dense_original(seed, people, k1, k2, lambda_value, metric):
    options = {"k1": k1, "k2": k2, "lambda_value": lambda_value, "metric": metric}
    query, gallery = features(seed, people, **options)
    found = rerank(query, gallery, **options)
    assert_equal_to_the_original(found, query, gallery, **options)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_ties_and_duplicates(metric):
    # Only 16 such features exist, so an image has more duplicates than neighbours.
    # Products are exact, and nearly all distances tie.
    rng = np.random.default_rng(3)
    query, gallery = (random_features(rng, "tied", n, 4) for n in (QUERIES, GALLERY))
    query, gallery = (np.pad(rows, ((0, 0), (0, 12))) for rows in (query, gallery))
    options = {"k1": 5, "k2": 3, "metric": metric}
    found = rerank(query, gallery, **options)
    assert_equal_to_the_original(found, query, gallery, **options)


@pytest.mark.parametrize(("queries", "items", "k1", "k2"), [(1, 1, 1, 2), (2, 3, 4, 5)])
def test_few_images(queries, items, k1, k2):
    rng = np.random.default_rng(0)
    query, gallery = (random_features(rng, "random", n) for n in (queries, items))
    found = rerank(query, gallery, k1=k1, k2=k2)
    assert_equal_to_the_original(found, query, gallery, k1=k1, k2=k2)


def test_identical_images():
    query, gallery = (np.ones((n, WIDTH), np.float32) for n in (QUERIES, GALLERY))
    found = rerank(query, gallery, k1=5, metric="euclidean")
    assert (found.farthest == 1).all()
    overlap = found.overlap(np.arange(QUERIES)).data
    assert (overlap > 0).all() and (overlap <= 1 + 1e-6).all()


def test_chunk_sizes_do_not_change_the_result(monkeypatch):
    query, gallery = features(4, 12)
    some = np.arange(QUERIES)[::-2]
    whole = rerank(query, gallery).overlap(some).toarray()
    monkeypatch.setattr(k_reciprocal, "_IMAGES", 7)
    monkeypatch.setattr(reranking, "_TERMS", 10_000)
    monkeypatch.setattr(k_reciprocal, "_PAIRS", 9)
    cut = rerank(query, gallery).overlap(some).toarray()
    np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-6)


def test_features_on_devices():
    query, gallery = features(9, 12)
    mesh = jax.make_mesh((8,), ("data",))
    split = jax.NamedSharding(mesh, jax.P("data"))
    on_devices = (jax.device_put(rows, split) for rows in (query, gallery))
    found = rerank(*on_devices, mesh=mesh)
    assert_equal_to_the_original(found, query, gallery)


def test_metrics_of_re_ranked_distances():
    rng = np.random.default_rng(6)
    while True:
        query, gallery = (clustered(rng, size, 12) for size in (8, 60))
        every = reference.squared_distances(query, gallery, "cosine")
        expected = reference.rerank(query, gallery)
        # Metrics depend on the order of all items.
        if (
            reference.smallest_gap(expected)
            > 1e-6
            < reference.smallest_gap(every, (21, 11, 6))
        ):
            break
    labels = random_labels(rng, 8), random_labels(rng, 60)
    _, _, _, precision, first = reference_metrics(-expected, *labels, "general", (1,))

    def metrics(reranking):
        return retrieval_metrics(
            query, labels[0], gallery, labels[1], reranking=reranking
        )

    found = metrics(rerank(query, gallery))
    np.testing.assert_array_equal(found.first_match_rank, first)
    np.testing.assert_allclose(found.average_precision, precision, rtol=0, atol=1e-6)
    assert (metrics(None).average_precision != found.average_precision).all()


def test_the_original_distance_alone_keeps_the_ranking():
    query, gallery = features(7, 12)
    plain = rerank(query, gallery, lambda_value=1)
    similarities, _ = top_k(query, gallery, GALLERY)
    values, indices = top_k(query, gallery, GALLERY, reranking=plain)
    np.testing.assert_allclose(
        values, (similarities - 1) * 2 / plain.farthest[:, None], atol=1e-6
    )
    unit_query, unit_gallery = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (query, gallery)
    )
    np.testing.assert_allclose(
        np.take_along_axis(unit_query @ unit_gallery.T, indices, axis=1),
        similarities,
        atol=1e-6,
    )


def test_a_re_ranking_of_other_features_is_rejected():
    query, gallery = features(7, 12)
    reranked = rerank(query, gallery)
    message = "is for 40 queries and 160 gallery items, but there are 40 and 159; "
    with pytest.raises(ValueError, match=message):
        top_k(query, gallery[1:], 3, reranking=reranked)


def test_memory_is_below_one_byte_per_pair_of_images():
    rng = np.random.default_rng(8)
    query, gallery = (clustered(rng, size, 300) for size in (1000, 5000))
    tracemalloc.start()
    try:
        overlap = rerank(query, gallery).overlap(np.arange(0, 1000, 2))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert overlap.nnz > 10 * overlap.shape[0]
    assert peak < 6000**2


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
        ({"lambda_value": -0.1}, "lambda_value must be a number from 0 to 1, got -0.1"),
        ({"lambda_value": 1.5}, "lambda_value must be a number from 0 to 1, got 1.5"),
        (
            {"lambda_value": np.nan},
            "lambda_value must be a number from 0 to 1, got nan",
        ),
        ({"metric": "manhattan"}, "metric 'manhattan' is unknown"),
    ],
)
def test_options_out_of_range(options, message):
    rng = np.random.default_rng(0)
    query, gallery = (random_features(rng, "random", size) for size in (10, 20))
    with pytest.raises(ValueError, match=message):
        rerank(query, gallery, **{"k1": 5, "k2": 3, **options})


def test_invalid_features_are_rejected():
    query, gallery = features(0, 12)
    with pytest.raises(ValueError, match="gallery must be"):
        rerank(query, gallery[:0])
    with pytest.raises(ValueError, match="differ in width: 16 and 15"):
        rerank(query, gallery[:, 1:])
    for name, rows in (("query", query), ("gallery", gallery)):
        whole = rows[3, 2]
        rows[3, 2] = np.nan
        with pytest.raises(ValueError, match=f"{name} row 3 "):
            rerank(query, gallery)
        rows[3, 2] = whole
