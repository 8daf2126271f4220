import hashlib
import time

import numpy as np
import pytest

from mbnet_jax.data.sampler import IdentityBalancedSampler

# 10 persons of 3 outfits with 4 images each.
PID = np.repeat(np.arange(10), 12)
CLOTHES = np.repeat(np.arange(30), 4)
SIXTY_FOUR = {"batch_size": 64, "images_per_identity": 4, "seed": 0}


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


def test_tracklets_take_turns_within_an_outfit():
    """A person of 2 outfits: 3 tracklets of 1, 50 and 9 frames in each."""
    outfits = np.repeat([0, 1], 60)
    tracklets = np.tile(np.repeat([0, 1, 2], [1, 50, 9]), 2) + 3 * outfits
    frames = IdentityBalancedSampler(
        np.repeat([4, 5], 120),
        np.tile(outfits, 2),
        batch_size=16,
        images_per_identity=8,
        seed=0,
        tracklet=np.tile(tracklets, 2),
    )
    for step in range(10):
        for person in frames.batch(step).reshape(2, 8) % 120:
            assert sorted(outfits[person]) == [0] * 4 + [1] * 4
            # Every tracklet, the seventh and eighth image from one that has two.
            assert {*tracklets[person]} == {0, 1, 2, 3, 4, 5}
            assert len({*person.tolist()}) == 8


def golden_images():
    """Name -> persons, outfits and the batch's size, by seed 5."""
    rng = np.random.default_rng(5)
    pid = rng.integers(0, 12, 300)
    clothes = 3 * pid + rng.integers(0, 3, 300)
    few = np.array([7, 7, 9, 9, 9, 4]), np.array([1, 2, 5, 5, 6, -1])
    return {
        "outfits": (pid, clothes, 32),
        "unknown": (pid, np.full(300, -1), 32),
        "few": (*few, 8),
    }


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("outfits", "f7a47bb5adaec69edf949794af1c4caaac5357f7f1d75ba69a7634a2dfb80bdf"),
        ("unknown", "906cad1bd794db28e50ab988c22ecfd796e5a5b609f8819483ed427b448c39d0"),
        ("few", "97f0fc73bc72ff169320e1d73e65501dfad8b16f9c94f9e1b5a5ad47a9f5f001"),
    ],
)
@pytest.mark.parametrize("tracklet", [None, np.full(300, -1)])
def test_batches_without_tracklets_are_those_of_earlier_versions(
    name, digest, tracklet
):
    """The digests are of the sampler that knew no tracklets: runs resume with it."""
    pid, clothes, batch_size = golden_images()[name]
    golden = IdentityBalancedSampler(
        pid,
        clothes,
        batch_size=batch_size,
        images_per_identity=4,
        seed=3,
        tracklet=tracklet,
    )
    found = hashlib.sha256()
    for step in range(40):
        found.update(golden.batch(step).astype(np.int64).tobytes())
        for row in range(0, batch_size, 5):
            found.update(golden.substitutes(step, row).astype(np.int64).tobytes())
    assert found.hexdigest() == digest


def test_a_quarter_of_a_million_images_are_grouped_at_once():
    rng = np.random.default_rng(0)
    pid = rng.integers(0, 5_000, 228_156)
    start = time.process_time()
    IdentityBalancedSampler(
        pid, 4 * pid + rng.integers(0, 4, len(pid)), **SIXTY_FOUR, tracklet=pid
    )
    assert time.process_time() - start < 1  # 0.04 seconds
