"""The measures of shortcuts, on hand-made embeddings and images."""

import numpy as np
import pytest
import tiny
from crowd import CAMERAS, CLOTHES, LABELS, PEOPLE, unit

from benchmarks.shortcuts.background import (
    choose_donors,
    cosine_with,
    cosines_between,
    paste,
    share_of_own_camera,
)
from benchmarks.shortcuts.camera import (
    as_many_removed,
    centred,
    mean_precision,
    other_cameras,
    own_camera,
)
from mbnet_jax.retrieval import Labels, ranked_lists, retrieval_metrics


def random_rows(seed: int = 0, width: int = 8) -> np.ndarray:
    shape = (len(LABELS.pid), width)
    return unit(np.random.default_rng(seed).normal(size=shape))


def ranked(rows: np.ndarray, rule: str):
    return ranked_lists(rows, LABELS, rows, LABELS, rule=rule, k=len(rows))


def test_embeddings_of_the_camera_alone_have_the_maximum():
    found = own_camera(ranked(np.eye(CAMERAS)[LABELS.camera], "any"), LABELS, LABELS)
    assert found == {
        "nearest": 1,
        "all": pytest.approx(1 / CAMERAS),
        "ratio": pytest.approx(CAMERAS),
        "auc": 1,
    }


def test_embeddings_of_the_person_alone_are_at_chance():
    people = np.random.default_rng(0).normal(size=(PEOPLE, 8))
    # Every person is seen at every camera, so near images come in multiples of 3.
    found = own_camera(ranked(unit(people)[LABELS.pid], "any"), LABELS, LABELS)
    assert found["auc"] == pytest.approx(0.5, abs=1e-6)
    assert found["ratio"] == pytest.approx(1, abs=0.25)


def test_a_repelling_camera_is_below_one_half():
    opposite = np.array([[1.0, 0], [-0.5, 0.8], [-0.5, -0.8]])
    query = Labels(*(values[LABELS.camera == 0] for values in LABELS[:3]))
    lists = ranked_lists(
        -opposite[query.camera],
        query,
        opposite[LABELS.camera],
        LABELS,
        rule="any",
        k=96,
    )
    found = own_camera(lists, query, LABELS)
    assert found["auc"] == 0 and found["nearest"] == 0


def test_queries_alone_at_their_camera_are_left_out():
    gallery = LABELS._replace(camera=LABELS.camera + CAMERAS)
    rows = random_rows()
    lists = ranked_lists(rows, LABELS, rows, gallery, rule="any", k=len(rows))
    found = own_camera(lists, LABELS, gallery)
    assert found["nearest"] == found["all"] == 0
    assert np.isnan(found["ratio"]) and np.isnan(found["auc"])


def test_centring_removes_an_offset_of_each_camera():
    rows = random_rows()
    added = 3 * np.random.default_rng(1).normal(size=(CAMERAS, rows.shape[1]))
    shifted = rows + added[LABELS.camera]
    assert own_camera(ranked(shifted, "any"), LABELS, LABELS)["auc"] > 0.9
    without = centred(shifted, LABELS.camera)
    np.testing.assert_allclose(without, centred(rows, LABELS.camera), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(without, axis=1), 1, atol=1e-5)
    with pytest.raises(ValueError, match=r"camera 1 .* mean of all its"):
        centred(rows[:2], np.array([1, 2]))


@pytest.mark.parametrize("rule", ["general", "clothes_changing"])
def test_precision_in_reduced_galleries_agrees_with_the_metrics(rule):
    rows = random_rows()
    lists = ranked(rows, rule)

    def expected(query, kept):
        parts = [
            (rows[indices], Labels(*(values[indices] for values in LABELS[:3])))
            for indices in (query, kept)
        ]
        return retrieval_metrics(*parts[0], *parts[1], rule=rule).average_precision

    everyone = np.arange(len(rows))
    whole = mean_precision(lists, np.ones((len(rows), len(rows)), bool))
    assert whole == pytest.approx(expected(everyone, everyone).mean())
    cut = mean_precision(lists, other_cameras(LABELS, LABELS))
    by_camera = [
        expected(*(np.flatnonzero(chosen) for chosen in (at, ~at)))
        for at in (LABELS.camera == camera for camera in range(CAMERAS))
    ]
    assert cut == pytest.approx(np.concatenate(by_camera).mean())
    assert cut > whole  # fewer images can be wrong


def test_the_control_removes_as_many_but_never_the_person():
    kept = as_many_removed(LABELS, LABELS, np.random.default_rng(0))
    own = LABELS.pid[:, None] == LABELS.pid
    assert kept[own].all()
    assert ((~kept).sum(axis=1) == (PEOPLE - 1) * CLOTHES).all()
    cameras = np.broadcast_to(LABELS.camera, kept.shape)[~kept]
    share = np.bincount(cameras) / len(cameras)
    np.testing.assert_allclose(share, 1 / CAMERAS, atol=0.05)
    again = as_many_removed(LABELS, LABELS, np.random.default_rng(0))
    np.testing.assert_array_equal(kept, again)


def pictures() -> tuple[np.ndarray, ...]:
    """An image and a donor, with their maps; the donor's person is white."""
    rng = np.random.default_rng(0)
    image, donor = rng.integers(0, 200, (2, tiny.HEIGHT, tiny.WIDTH, 3), np.uint8)
    parsing = tiny.person()
    donor_map = np.roll(tiny.person(head=4), 6, axis=1)
    donor_map[40] = 1  # a row without background
    donor[donor_map > 0] = 255
    return image, parsing, donor, donor_map


def test_pasting_changes_only_the_background():
    image, parsing, donor, donor_map = pictures()
    pasted = paste(image, parsing, donor, donor_map)
    person, free = parsing > 0, donor_map == 0
    np.testing.assert_array_equal(pasted[person], image[person])
    taken = ~person & free
    np.testing.assert_array_equal(pasted[taken], donor[taken])
    hidden = ~person & ~free
    assert (
        hidden.any() and pasted[~person].max() < 200
    )  # no pixel of the donor's person
    for row in np.flatnonzero(hidden.any(axis=1)):
        seen = donor[row][free[row]] if free[row].any() else donor[free]
        colours = pasted[row][hidden[row]]
        np.testing.assert_allclose(
            colours, np.broadcast_to(seen.mean(axis=0), colours.shape), atol=0.501
        )


def test_pasting_needs_a_person_and_a_background():
    image, parsing, donor, donor_map = pictures()
    nobody = np.zeros_like(parsing)
    np.testing.assert_array_equal(paste(image, nobody, donor, donor_map), image)
    np.testing.assert_array_equal(paste(image, parsing, donor, nobody + 1), image)


@pytest.mark.parametrize("same", [True, False])
def test_donors_are_other_people_at_the_requested_cameras(same):
    donors = choose_donors(LABELS, same, np.random.default_rng(0))
    assert (LABELS.pid[donors] != LABELS.pid).all()
    assert ((LABELS.camera[donors] == LABELS.camera) == same).all()
    assert len(np.unique(donors)) > 40  # various donors
    again = choose_donors(LABELS, same, np.random.default_rng(0))
    np.testing.assert_array_equal(donors, again)
    alone = Labels(*(values[LABELS.pid == 3] for values in LABELS[:3]))
    with pytest.raises(ValueError, match=r"camera 0 .* took person 3, and .* nobody"):
        choose_donors(alone, same, np.random.default_rng(0))


def test_the_share_of_the_own_camera():
    np.testing.assert_allclose(share_of_own_camera(LABELS), 1 / CAMERAS)


def test_mean_cosines_agree_with_all_pairs():
    rows = random_rows()
    product = rows @ rows.T
    person, camera, clothes = (values[:, None] == values for values in LABELS[:3])
    pairs = {
        "changed": person & ~clothes & ~camera,
        "other_same_camera": ~person & camera,
        "other_other_camera": ~person & ~camera,
    }
    expected = {name: product[kind].mean() for name, kind in pairs.items()}
    assert cosines_between(rows, LABELS) == pytest.approx(expected, abs=1e-6)
    unknown = LABELS._replace(clothes=np.full_like(LABELS.clothes, -1))
    assert np.isnan(cosines_between(rows, unknown)["changed"])
    # Image i with image i - 1.
    expected = product[np.arange(len(rows)), np.arange(len(rows)) - 1].mean()
    found = cosine_with(rows, np.roll(rows, 1, axis=0))
    assert found == pytest.approx(expected, abs=1e-6)
