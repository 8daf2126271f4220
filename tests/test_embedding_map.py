"""The map of embeddings, against the mathematics of principal components."""

import numpy as np
import pytest

from mbnet_jax.report.embedding_axes import (
    AXES,
    HEIGHT,
    MARGIN,
    WIDTH,
    nearest_agree,
    positions,
    principal_axes,
    whole_persons,
)


def cloud(seed=0, rows=30, width=12):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, width)) * np.arange(1, width + 1) ** 2


def test_axes_are_those_of_the_covariance_and_shares_its_eigenvalues():
    rows = cloud()
    found, shares = principal_axes(rows.astype(np.float32))
    values = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
    np.testing.assert_allclose(shares, values[:AXES] / values.sum(), rtol=1e-5)
    # Uncorrelated, centred, and with these variances.
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-4)
    covariance = np.cov(found.T)
    np.testing.assert_allclose(np.diag(covariance), values[:AXES], rtol=1e-5)
    off = covariance - np.diag(np.diag(covariance))
    assert np.abs(off).max() < 1e-5 * values[0]


def test_axes_do_not_depend_on_rotation_place_and_order():
    rows = cloud(1)
    found, _ = principal_axes(rows)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(12, 12)))[0]
    np.testing.assert_allclose(principal_axes(rows @ turn + 5)[0], found, atol=1e-6)
    order = np.random.default_rng(3).permutation(len(rows))
    np.testing.assert_allclose(principal_axes(rows[order])[0], found[order], atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_fewer_images_than_axes_leave_axes_empty(rows):
    found, shares = principal_axes(cloud(rows=rows))
    assert found.shape == (rows, AXES) and shares.shape == (AXES,)
    assert not np.abs(found[:, rows:]).any() and shares.sum() == pytest.approx(
        float(rows > 1)
    )
    placed = positions(found)
    assert (placed[:, 4:] == [WIDTH // 2, HEIGHT // 2]).all()


def test_the_map_keeps_shapes_and_fits_the_plane():
    coordinates = np.random.default_rng(4).normal(size=(50, AXES)) * [9, 1, 1, 9, 3, 3]
    placed = positions(coordinates).reshape(50, -1, 2)
    assert (placed >= MARGIN).all() and (
        placed <= np.array([WIDTH, HEIGHT]) - MARGIN
    ).all()
    for pair in range(AXES // 2):
        drawn, own = placed[:, pair], coordinates[:, 2 * pair : 2 * pair + 2]
        scale = np.ptp(drawn[:, 0]) / np.ptp(own[:, 0])
        # The same scale for both, and y is up.
        moved = (own - own[0]) * (scale, -scale)
        np.testing.assert_allclose(drawn - drawn[0], moved, atol=2.5)
        span = np.ptp(drawn, axis=0) + 2 * MARGIN
        assert np.isclose(span, [WIDTH, HEIGHT], atol=1).any()


def test_persons_are_drawn_whole():
    pid = np.repeat([4, 7, 9, 12], [5, 3, 6, 2])
    kept = whole_persons(pid, 9, seed=0)
    assert 0 < len(kept) <= 9 and (np.diff(kept) > 0).all()
    for person in {*pid[kept].tolist()}:
        assert np.sum(pid[kept] == person) == np.sum(pid == person)
    assert (whole_persons(pid, 100, 0) == np.arange(16)).all()
    assert len(whole_persons(pid, 1, 0)) == 1  # no person fits
    drawn = {tuple(whole_persons(pid, 8, seed)) for seed in range(9)}
    assert len(drawn) > 1


def test_nearest_labels_are_counted_and_compared_with_chance():
    rows = np.array([[1, 0], [0.99, 0.1], [0, 1], [0.1, 0.99], [0.6, 0.8]])
    values = np.array([1, 1, 2, 3, 3])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    same, chance = nearest_agree(rows, values)
    # Rows 0 and 1 are neighbours; 2 and 3 too, of other groups; 4 is next to 3.
    assert same == pytest.approx(3 / 5)
    assert chance == pytest.approx((1 + 1 + 0 + 1 + 1) / 4 / 5)
    assert np.isnan(nearest_agree(rows[:1], values[:1])).all()
