"""ROC and thresholds over all pairs, against scikit-learn and NumPy."""

import numpy as np
import pytest
from retrieval_calls import call
from retrieval_reference import (
    keep_and_match,
    random_features,
    random_labels,
    similarities,
)

from mbnet_jax.retrieval import Labels, verification

RATES = (0.3, 1e-1, 1e-2, 1e-3, 1e-4)


def pairs(query, query_labels, gallery, gallery_labels, rule):
    """All pairs that the rule keeps: float64 similarities, and which are true."""
    values, true = [], []
    for q, row in enumerate(similarities(query, gallery)):
        keep, match = keep_and_match(q, query_labels, gallery_labels, rule)
        values.append(row[keep])
        true.append(match[keep])
    return np.concatenate(values), np.concatenate(true)


@pytest.mark.parametrize("kind", ["random", "signs"])
@pytest.mark.parametrize("rule", ["general", "clothes_changing", "any"])
def test_every_point_equals_scikit_learns_roc(kind, rule):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    # More than one block of queries and of gallery, the last not full. Products of
    # "signs" are exact, and most tie.
    query, gallery = (random_features(rng, kind, size) for size in (600, 2500))
    labels = [random_labels(rng, size, 40) for size in (600, 2500)]
    found = verification(
        query, labels[0], gallery, labels[1], rule=rule, rates=RATES, least=1
    )
    values, true = pairs(query, labels[0], gallery, labels[1], rule)
    assert (found.true, found.false) == (true.sum(), (~true).sum())
    fpr, tpr, _ = metrics.roc_curve(true, values, drop_intermediate=False)
    # float32 and float64 similarities order a few near pairs differently.
    slack = 0 if kind == "signs" else 3 / found.true
    for rate, point in zip(RATES, found.at_rates, strict=True):
        allowed = fpr <= rate
        assert point.false_accept == pytest.approx(fpr[allowed].max(), abs=1e-12)
        assert point.true_accept == pytest.approx(tpr[allowed].max(), abs=slack + 1e-12)
    # Each point of the curve is one of scikit-learn's.
    curve = found.curve
    assert (np.diff(curve.thresholds) < 0).all()
    if kind == "signs":
        ours = np.stack([curve.false / found.false, curve.true / found.true], 1)
        theirs = np.stack([fpr, tpr], 1)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    area = np.trapezoid(curve.true / found.true, curve.false / found.false)
    assert area == pytest.approx(metrics.auc(fpr, tpr), abs=1e-5)


@pytest.mark.parametrize("kind", ["random", "duplicated", "signs"])
def test_a_threshold_accepts_what_is_at_least_as_similar(kind):
    rng = np.random.default_rng(1)
    query, gallery = (random_features(rng, kind, size) for size in (40, 300))
    labels = [random_labels(rng, size) for size in (40, 300)]
    given = (-1.2, -0.25, 0.0, 0.3, 0.5, 1.2)
    found = verification(query, labels[0], gallery, labels[1], thresholds=given)
    values, true = pairs(query, labels[0], gallery, labels[1], "general")
    for threshold, point in zip(given, found.at_thresholds, strict=True):
        accepted = values >= point.threshold
        assert point.threshold == pytest.approx(threshold, abs=1e-7)
        assert point.false_accept == pytest.approx(accepted[~true].mean())
        assert point.true_accept == pytest.approx(accepted[true].mean())


def test_neighbouring_floats_are_told_apart():
    # Cosines that rise by 1e-8 to 1e-7 from item to item, near 1.
    person = np.arange(20) < 10
    gallery = np.stack([np.arange(20) + 4096.0, np.full(20, 64.0)], 1)
    query = np.array([[1.0, 0.0]])
    labels = Labels(np.where(person, 0, 1), *[np.ones(20, int)] * 2)
    found = verification(
        *(query, Labels([0], [0], [0]), gallery, labels), rates=(0.35,), least=1
    )
    (point,) = found.at_rates
    assert point.false_accept == pytest.approx(0.3)  # 3 of 10, never 4
    again = verification(
        *(query, Labels([0], [0], [0]), gallery, labels), thresholds=(point.threshold,)
    )
    assert again.at_thresholds == (point,)


def test_too_few_false_pairs_say_nothing():
    rng = np.random.default_rng(2)
    query, gallery = (random_features(rng, "random", size) for size in (10, 50))
    labels = [random_labels(rng, size) for size in (10, 50)]
    found = verification(query, labels[0], gallery, labels[1])
    assert 100 < found.false < 1000
    first, second, *others = found.at_rates
    assert first.false_accept <= 0.1 and not np.isnan(first.true_accept)
    assert all(np.isnan(value) for point in (second, *others) for value in point)


def test_without_pairs_of_a_kind():
    rng = np.random.default_rng(3)
    rows, labels = random_features(rng, "random", 30), random_labels(rng, 30)
    apart = labels._replace(pid=labels.pid + 100)
    found = verification(rows, labels, rows, apart, rates=(0.5,), thresholds=(0.1,))
    assert (found.true, found.false) == (0, 900)
    assert np.isnan(found.at_thresholds[0].true_accept)
    assert found.at_rates[0].false_accept <= 0.5
    one = labels._replace(pid=np.zeros(30, int))
    found = verification(rows, one, rows, one, rates=(0.5,))
    assert found.false == 0 and np.isnan(found.at_rates[0].threshold)


@pytest.mark.parametrize("wrong", [(0,), (1,), (-0.1,), (np.nan,), ("0.1",), (True,)])
def test_a_rate_out_of_range_is_named(wrong):
    known = "rates must be a tuple of up to 100 numbers above 0 and below 1, got"
    for rates in (wrong, wrong[0]):
        with pytest.raises(ValueError, match=known):
            call("verification", rates=rates)
    with pytest.raises(ValueError, match=r"thresholds must be .* above -1.5 and below"):
        call("verification", thresholds=(2.0,))
    with pytest.raises(ValueError, match="least must be a whole number from 1, got 0"):
        call("verification", least=0)
