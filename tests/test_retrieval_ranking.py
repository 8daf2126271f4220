"""The nearest items and ranked lists against a plain NumPy ranking."""

import numpy as np
import pytest
import retrieval_reference as reference
from retrieval_reference import angles, random_features, random_labels

from mbnet_jax.retrieval import RULES, blocks, ranked_lists, top_k

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("kind", ["random", "tied", "duplicated"])
@pytest.mark.parametrize("k", [1, 10, 70])
def test_top_k(kind, k, monkeypatch):
    monkeypatch.setattr(blocks, "GALLERY_ROWS", 64)
    rng = np.random.default_rng(k)
    query, gallery = (random_features(rng, kind, n) for n in (9, 140))
    similarities, indices = top_k(query, gallery, k)
    expected = reference.similarities(query, gallery)
    order = np.argsort(-expected, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(
        similarities, np.take_along_axis(expected, order, axis=1), atol=1e-6
    )


@pytest.mark.parametrize("rule", sorted(RULES))
def test_ranked_lists(rule):
    rng = np.random.default_rng(7)
    query, gallery = (random_features(rng, "tied", n) for n in (9, 30))
    query_labels, gallery_labels = random_labels(rng, 9, 2), random_labels(rng, 30, 2)
    found = ranked_lists(
        query, query_labels, gallery, gallery_labels, rule=rule, k=len(gallery)
    )
    similarity = reference.similarities(query, gallery)
    for q in range(len(query)):
        order, hit = reference.ranking(
            q, similarity, query_labels, gallery_labels, rule
        )
        kept = len(order)
        thrown_out = len(gallery) - kept
        assert (thrown_out > 0) == (rule != "any")
        np.testing.assert_array_equal(found.indices[q, :kept], order)
        np.testing.assert_array_equal(found.correct[q, :kept], hit)
        np.testing.assert_allclose(
            found.similarities[q, :kept], similarity[q, order], atol=1e-6
        )
        assert (found.indices[q, kept:] == -1).all()
        assert np.isneginf(found.similarities[q, kept:]).all()
        assert not found.correct[q, kept:].any()


@pytest.mark.parametrize("k", [0, 4])
def test_k_out_of_range(k):
    with pytest.raises(ValueError, match=f"k must be .* from 1 to the 3 .*, got {k}"):
        top_k(angles([0]), angles([20, 30, 40]), k)
