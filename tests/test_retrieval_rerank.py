"""Re-ranking against the dense original, and within memory for sparse rows alone."""

import tracemalloc

import jax
import numpy as np
import pytest
import rerank_reference as reference
from retrieval_reference import random_features, random_labels
from retrieval_reference import metrics as reference_metrics

from mbnet_jax.retrieval import rerank, retrieval_metrics, top_k

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
