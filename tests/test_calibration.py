"""Probabilities of pairs: the fit, its reliability, the file, `Embedder.compare`."""

import json
import math

import numpy as np
import pytest
import small_run
from untrained import untrained, whole_network

from mbnet_jax import Embedder
from mbnet_jax.evaluation.platt import fit_platt, reliability
from mbnet_jax.retrieval.verification import Curve
from mbnet_jax.runs.calibration_file import (
    FILE,
    Calibration,
    fitting,
    origin_of_maps,
    read_calibrations,
    write_calibrations,
)

ONE = Calibration(
    *("people", 5, 40, "general", ("global",), True, "none", 100, 900),
    *(8.0, -4.0, 1e-2, 0.75),
)


def curve(similarity, true):
    """The ROC of some pairs, with a threshold at each similarity."""
    similarity = np.float32(similarity)
    thresholds = np.unique(similarity)[::-1]
    counts = []
    for kind in (true, ~true):
        ascending = np.sort(similarity[kind])
        below = np.searchsorted(ascending, thresholds, side="left")
        counts.append(np.append(0, len(ascending) - below))
    return Curve(np.append(np.float32(2), thresholds), *counts)


def drawn(slope, offset, size, seed=0):
    """Pairs whose odds are as a logistic regression says, at equal numbers of both."""
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(-0.5, 1, size)
    probability = 1 / (1 + np.exp(-slope * similarity - offset))
    true = rng.uniform(size=size) < probability
    return similarity, true, np.log(true.mean() / (1 - true.mean()))


def test_the_fit_is_that_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    similarity, true, _ = drawn(9, -5, 1500)
    slope, offset = fit_platt(curve(similarity, true))
    model = linear.LogisticRegression(C=1e9, class_weight="balanced", tol=1e-8)
    model.fit(similarity[:, None], true)
    assert slope == pytest.approx(model.coef_[0, 0], rel=0.02)
    assert offset == pytest.approx(model.intercept_[0], rel=0.02)


def test_the_fit_finds_the_true_odds_whatever_the_numbers_of_pairs():
    similarity, true, balance = drawn(9, -5, 4000)
    slope, offset = fit_platt(curve(similarity, true))
    assert slope == pytest.approx(9, rel=0.1)
    # At equal weights of both kinds the odds are those of the draw over their prior.
    assert offset == pytest.approx(-5 - balance, abs=0.3)
    few = np.flatnonzero(~true)[::2]  # half of the false pairs, the same odds
    kept = np.sort(np.append(np.flatnonzero(true), few))
    again = fit_platt(curve(similarity[kept], true[kept]))
    assert again == pytest.approx((slope, offset), rel=0.1)


def test_separate_pairs_have_a_finite_fit():
    similarity = np.append(np.linspace(0, 0.2, 50), np.linspace(0.8, 1, 50))
    slope, offset = fit_platt(curve(similarity, similarity > 0.5))
    assert 5 < slope < 1000 and -slope < offset < 0
    same = fit_platt(curve(np.full(4, 0.5), np.array([True, False, False, False])))
    assert np.isfinite(same).all()


def test_calibrated_probabilities_are_reliable_on_other_pairs_and_others_are_not():
    fitted = fit_platt(curve(*drawn(9, -5, 4000)[:2]))
    held_out = curve(*drawn(9, -5, 4000, seed=1)[:2])
    good = reliability(held_out, *fitted)
    assert good.error < 0.03 and good.weight.sum() == pytest.approx(1)
    assert (np.diff(good.predicted) > 0).all()
    assert reliability(held_out, fitted[0], fitted[1] + 3).error > 0.15


def test_reliability_by_hand():
    # Of odds 0, probability 1/2, two of three pairs are true: of odds log 9, all are.
    similarity = np.array([0, 0, 0, 1, 1])
    true = np.array([True, True, False, True, True])
    found = reliability(curve(similarity, true), math.log(9), 0.0)
    # Both kinds weigh 1/2: the false pair 1/2, each true pair 1/8.
    assert found.weight[[5, 9]] == pytest.approx([3 / 4, 1 / 4])
    assert found.observed[[5, 9]] == pytest.approx([1 / 3, 1])
    expected = 3 / 4 * abs(1 / 2 - 1 / 3) + 1 / 4 * abs(0.9 - 1)
    assert found.error == pytest.approx(expected)


def test_the_prior_multiplies_the_odds():
    assert ONE.probability(0.5) == 0.5
    assert ONE.probability(0.5, prior=0.1) == pytest.approx(0.1)
    odds = math.exp(8 * 0.9 - 4) * 0.01 / 0.99
    assert ONE.probability(0.9, prior=0.01) == pytest.approx(odds / (1 + odds))
    for wrong in (0, 1, True, "1"):
        with pytest.raises(ValueError, match=r"prior=.* must be a number above 0"):
            ONE.probability(0.5, prior=wrong)


def test_the_file_keeps_those_of_a_checkpoint(tmp_path):
    other = ONE._replace(branches=("global", "mask"), maps="given", threshold=None)
    write_calibrations(tmp_path, 7, [ONE])
    write_calibrations(tmp_path, 7, [ONE._replace(slope=9.0), other])
    assert read_calibrations(tmp_path, 7) == [ONE._replace(slope=9.0), other]
    assert read_calibrations(tmp_path, 8) == []
    write_calibrations(tmp_path, 8, [ONE])
    assert read_calibrations(tmp_path, 8) == [ONE]
    content = json.loads((tmp_path / FILE).read_text())
    next(iter(content["calibrations"].values()))["slope"] = "steep"
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"calibration.json is damaged.*slope"):
        read_calibrations(tmp_path, 8)


def test_a_calibration_fits_one_way_of_embedding():
    others = [
        ONE._replace(flip=False),
        ONE._replace(branches=("global", "mask"), maps="given"),
        ONE._replace(branches=("global", "mask"), maps="predicted"),
        ONE._replace(dataset="larger", people=50),
    ]
    found = fitting([ONE, *others], ("global",), True, "none")
    assert found == others[-1]
    assert fitting([ONE, *others], ("global",), True, "none", "people") == ONE
    maps = origin_of_maps(("global", "mask"), True)
    assert fitting([ONE, *others], ("global", "mask"), True, maps) == others[2]
    assert fitting([ONE, *others], ("mask",), True, "given") is None


@pytest.fixture(scope="module")
def embedder(tmp_path_factory, one_block):
    config = whole_network(tmp_path_factory.mktemp("data"))
    config.model.branches = ("global",)
    mesh = small_run.one_device()
    network = untrained(config, mesh)
    flip = config.eval.flip
    calibrations = [ONE._replace(flip=flip)]
    return Embedder(network, mesh, calibrations=calibrations), network, mesh


def test_compare_gives_similarity_and_probability(embedder):
    embedder, _, _ = embedder
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 64, 32, 3), np.uint8)
    rows = embedder.embed([a, b])
    found = embedder.compare(a, b)
    assert found.similarity == pytest.approx(float(rows[0] @ rows[1]), abs=1e-5)
    assert found.probability == pytest.approx(
        ONE.probability(found.similarity), abs=1e-6
    )
    assert found.calibrated_on == (
        "5 validation persons of people (100 pairs of one person under the rule "
        "general, 900 of two); branches global; prior 0.5"
    )
    assert embedder.compare(a, a).similarity == pytest.approx(1, abs=1e-6)
    assert embedder.compare(a, b, prior=0.01).probability < found.probability
    with pytest.raises(ValueError, match="prior=2 must be"):
        embedder.compare(a, b, prior=2)


def test_without_a_calibration_there_is_no_probability(embedder):
    calibrated, network, mesh = embedder
    image = np.zeros((64, 32, 3), np.uint8)
    plain = Embedder(network, mesh)
    with pytest.warns(UserWarning, match="has no calibration; evaluate its run"):
        assert plain.compare(image, image)[1:] == (None, None)
    other = [ONE._replace(flip=not calibrated.flip)]
    plain.calibrations = other
    with pytest.warns(UserWarning, match="is not calibrated for the branches global"):
        assert plain.compare(image, image)[1:] == (None, None)
