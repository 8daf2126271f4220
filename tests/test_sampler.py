import numpy as np
import pytest

from mbnet_jax.data.sampler import IdentityBalancedSampler

# 10 persons of 3 outfits with 4 images each.
PID = np.repeat(np.arange(10), 12)
CLOTHES = np.repeat(np.arange(30), 4)


def sampler(seed=0, batch_size=12, images_per_identity=3):
    return IdentityBalancedSampler(
        PID,
        CLOTHES,
        batch_size=batch_size,
        images_per_identity=images_per_identity,
        seed=seed,
    )


def test_a_batch_has_p_persons_of_k_images_each():
    for step in range(20):
        persons = PID[sampler().batch(step)].reshape(4, 3)
        assert (persons == persons[:, :1]).all()
        assert len(set(persons[:, 0])) == 4


def test_a_person_wears_as_many_outfits_as_possible():
    for step in range(20):
        three = CLOTHES[sampler().batch(step)].reshape(4, 3)
        assert all(len(set(row)) == 3 for row in three)
        batch = sampler(batch_size=20, images_per_identity=5).batch(step)
        five = CLOTHES[batch].reshape(4, 5)
        assert all(
            sorted(np.unique(row, return_counts=True)[1]) == [1, 2, 2] for row in five
        )
        assert len(set(batch)) == 20


def test_a_round_repeats_nobody_and_omits_only_the_remainder():
    # 10 persons, 4 a batch: rounds of 2 batches.
    for start in range(0, 20, 2):
        round_ = [PID[sampler().batch(step)][::3] for step in (start, start + 1)]
        assert len(set(np.concatenate(round_))) == 8
    met = np.concatenate([PID[sampler().batch(step)] for step in range(40)])
    assert set(met) == set(range(10))


def test_a_batch_is_a_function_of_seed_and_step():
    one, other = sampler(), sampler()
    one.batch(3)  # earlier calls do not matter
    assert np.array_equal(one.batch(7), other.batch(7))
    assert not np.array_equal(one.batch(7), one.batch(8))
    assert not np.array_equal(one.batch(7), sampler(seed=1).batch(7))


def test_images_repeat_only_where_a_person_has_too_few():
    few = IdentityBalancedSampler(
        np.array([0, 0, 1, 1, 1]),
        np.array([0, 0, 1, 1, 1]),
        batch_size=6,
        images_per_identity=3,
        seed=0,
    )
    for step in range(5):
        batch = few.batch(step)
        assert sorted(np.unique(batch[batch < 2], return_counts=True)[1]) == [1, 2]
        assert sorted(batch[batch >= 2]) == [2, 3, 4]


@pytest.mark.parametrize(
    ("batch_size", "images_per_identity", "message"),
    [(10, 4, "multiple"), (10, 1, "at least 2"), (44, 4, "has only 10")],
)
def test_impossible_batches_are_refused(batch_size, images_per_identity, message):
    with pytest.raises(ValueError, match=message):
        sampler(batch_size=batch_size, images_per_identity=images_per_identity)
