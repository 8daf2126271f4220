"""Histograms of similarities against all pairs at once."""

import numpy as np
import pytest
from retrieval_reference import (
    keep_and_match,
    random_features,
    random_labels,
    similarities,
)

from mbnet_jax.report.similarities import CENTRES, separation
from mbnet_jax.retrieval import RULES, Histograms, similarity_histograms
from mbnet_jax.retrieval.histograms import BINS


def counted(values):
    """Counts float64 values by bin, int64 [BINS]; the last bin is closed."""
    bins = np.minimum(np.floor((values + 1) * (BINS / 2)).astype(int), BINS - 1)
    return np.bincount(bins, minlength=BINS)


@pytest.mark.parametrize("rule", RULES)
def test_each_pair_that_the_rule_keeps_is_counted_once(rule):
    rng = np.random.default_rng(0)
    # More than one block of queries and of gallery, the last not full; products are
    # exact.
    sizes = 600, 2500
    query, gallery = (random_features(rng, "signs", size) for size in sizes)
    query_labels, gallery_labels = (random_labels(rng, size, 300) for size in sizes)
    query_labels.pid[7] = 300  # not in the gallery
    found = similarity_histograms(
        query, query_labels, gallery, gallery_labels, rule=rule
    )
    value = similarities(query, gallery)
    true, false = [], []
    for q in range(sizes[0]):
        keep, match = keep_and_match(q, query_labels, gallery_labels, rule)
        if match.any():  # as in the metrics
            true.append(value[q, match])
            false.append(value[q, keep & ~match])
    assert 0 < len(true) < sizes[0]
    np.testing.assert_array_equal(found.true, counted(np.concatenate(true)))
    np.testing.assert_array_equal(found.false, counted(np.concatenate(false)))


def test_without_a_true_match_nothing_is_counted():
    rng = np.random.default_rng(0)
    rows, labels = random_features(rng, "random", 5), random_labels(rng, 5)
    found = similarity_histograms(
        rows, labels, rows, labels._replace(pid=labels.pid + 100)
    )
    assert not found.true.any() and not found.false.any()
    assert np.isnan(separation(found).auc)


def test_separation_equals_a_comparison_of_all_pairs():
    rng = np.random.default_rng(0)
    true = rng.normal(0.4, 0.2, 300).clip(-1, 1)
    false = rng.normal(0.1, 0.1, 400).clip(-1, 1)
    of = separation(Histograms(counted(true), counted(false)))
    above = true[:, None] > false
    assert (of.true, of.false) == (300, 400)
    assert of.auc == pytest.approx(above.mean(), abs=2e-3)
    assert of.true_mean == pytest.approx(true.mean(), abs=1 / BINS)
    spread = np.sqrt((true.var() + false.var()) / 2)
    assert of.d_prime == pytest.approx((true.mean() - false.mean()) / spread, rel=1e-2)
    missed, let_in = (true < of.threshold).mean(), (false > of.threshold).mean()
    assert missed == pytest.approx(let_in, abs=0.01)
    assert of.eer == pytest.approx((missed + let_in) / 2, abs=0.005)


def test_separation_at_its_extremes():
    near, far = (counted(np.array([value])) for value in (0.9, -0.9))
    assert separation(Histograms(near, far)).auc == 1
    assert separation(Histograms(far, near)).auc == 0
    same = separation(Histograms(near, near))
    assert same.auc == same.eer == 0.5 and np.isnan(same.d_prime)
    assert CENTRES[0] == pytest.approx(-1 + 1 / BINS)
