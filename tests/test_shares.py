"""Batches with fixed shares of several datasets."""

import numpy as np
import pytest

from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.data.shares import persons_of_shares

SHARES = [
    ((1, 1), 8, [4, 4]),
    ((3, 1), 8, [6, 2]),
    ((1, 1, 1), 8, [3, 3, 2]),
    ((0.99, 0.01), 8, [7, 1]),
    ((100, 1, 1, 1), 5, [2, 1, 1, 1]),
    ((0.5, 0.3, 0.2), 7, [4, 2, 1]),
    ((0.2,), 3, [3]),
]


@pytest.mark.parametrize(("shares", "persons", "expected"), SHARES)
def test_shares_become_persons(shares, persons, expected):
    assert persons_of_shares(shares, persons) == expected


# 5 persons of one dataset, 20 of another, with 4 images each.
PID = np.repeat(np.arange(25), 4)
DATASET = (PID >= 5).astype(int)


def sampler(shares=(), seed=0, **fields):
    return IdentityBalancedSampler(
        PID,
        np.full(len(PID), -1),
        **{"batch_size": 16, "images_per_identity": 2} | fields,
        seed=seed,
        dataset=DATASET,
        shares=shares,
    )


def persons(one, step):
    return PID[one.batch(step)][::2]


def test_batches_hold_fixed_shares_in_rounds_of_each_dataset():
    one = sampler((1, 3))  # 2 of 5 persons, 6 of 20
    met = np.array([persons(one, step) for step in range(12)])
    assert ((met < 5).sum(1) == 2).all()
    assert all(len({*row}) == 8 for row in met.tolist())
    for start in range(0, 12, 2):  # two batches a round of the first
        assert len({*met[start : start + 2][met[start : start + 2] < 5]}) == 4
    for start in range(0, 12, 3):
        assert len({*met[start : start + 3][met[start : start + 3] >= 5]}) == 18
    assert {*met.ravel()} == {*range(25)}
    # Micro-batches get some of each: their order is mixed.
    assert len({tuple(row < 5) for row in met}) > 6


def test_shares_are_a_function_of_seed_and_step_and_off_by_default():
    one, other = sampler((1, 3)), sampler((1, 3))
    other.batch(3)
    for step in (0, 5, 100):
        np.testing.assert_array_equal(one.batch(step), other.batch(step))
    assert (one.batch(5) != sampler((1, 3), seed=1).batch(5)).any()
    row = 7
    images = one.substitutes(5, row)
    assert (PID[images] == PID[one.batch(5)[row]]).all()
    joint = np.concatenate([persons(sampler(), step) for step in range(3)])
    assert len({*joint.tolist()}) == 24  # of the pool of all


@pytest.mark.parametrize(
    ("shares", "batch_size", "message"),
    [
        ((1, 1), 2, r"needs at least 2 persons in a batch, one of each .* are 1;"),
        ((1, 1), 24, r"dataset 1 of data\.name 6 persons .* only 5 to train on"),
    ],
)
def test_impossible_shares_are_refused(shares, batch_size, message):
    with pytest.raises(ValueError, match=message):
        sampler(shares, batch_size=batch_size)
