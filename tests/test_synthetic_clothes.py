"""The large wardrobe of the synthetic dataset, its prints and its accessories."""

import dataclasses
import itertools

import numpy as np
import pytest

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic import SyntheticOptions
from mbnet_jax.synthetic.clothes.accessories import KINDS
from mbnet_jax.synthetic.clothes.cloth import lay_out
from mbnet_jax.synthetic.clothes.garments import Accessory
from mbnet_jax.synthetic.clothes.prints import CHEST_ONLY, PRINTS, blend
from mbnet_jax.synthetic.clothes.wardrobe import make_wardrobe, sample_outfits
from mbnet_jax.synthetic.people.body import load_body
from mbnet_jax.synthetic.people.dressing import dress
from mbnet_jax.synthetic.people.figure import draw_figure, place_figure
from mbnet_jax.synthetic.people.gait import rotation, walking_pose
from mbnet_jax.synthetic.people.identity import sample_identity
from mbnet_jax.synthetic.render import render

OPTIONS = SyntheticOptions(garments=60, outfits=4)
SIZE = (128, 64)


def cloth(seed=0, count=4000):
    """Random canonical coordinates on trunk, legs and arms."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-0.3, 0.3, count), rng.uniform(-0.8, 0.7, count)
    z, arm = rng.uniform(-0.1, 0.15, count), rng.uniform(0, 2, count)
    return x, y, z, arm, np.abs(x) > 0.2


@pytest.mark.parametrize("name", PRINTS)
def test_a_print_has_colours_and_depends_on_each_point_alone(name):
    points = cloth()
    some = np.random.default_rng(1).permutation(4000)[:500]
    for seed in range(3):
        variation = np.random.default_rng(seed).random(4)
        place = PRINTS[name](lay_out(*points), 0.1, variation)
        again = PRINTS[name](lay_out(*(v[some] for v in points)), 0.1, variation)
        np.testing.assert_array_equal(np.broadcast_to(place, 4000)[some], again)
        assert place.min() >= 0
        assert place.max() <= 2
        # At least two colours that are half of the way to another colour apart.
        assert np.ptp(place) >= 0.5


def test_blending_is_exact_at_the_colours_and_linear_between_them():
    colours = np.random.default_rng(0).random((3, 3))
    np.testing.assert_array_equal(blend(colours, np.array([0.0, 1, 2])), colours)
    half = blend(colours, np.array([0.5, 1.5]))
    np.testing.assert_allclose(half, (colours[:2] + colours[1:]) / 2)


def test_only_the_chosen_prints_are_worn_and_trousers_have_none_of_the_chest():
    chosen = ("tartan", "letters")
    wardrobe = make_wardrobe(dataclasses.replace(OPTIONS, prints=chosen))
    tops = {top.fabric.name for top in wardrobe.tops}
    bottoms = {bottom.fabric.name for bottom in wardrobe.bottoms}
    assert tops == {"", *chosen}
    assert bottoms == {"", "tartan"}
    every = make_wardrobe(dataclasses.replace(OPTIONS, garments=1000))
    assert {top.fabric.name for top in every.tops} == {"", *PRINTS}
    worn_below = {bottom.fabric.name for bottom in every.bottoms}
    assert worn_below == {"", *PRINTS} - {*CHEST_ONLY}


def test_nobody_can_repeat_a_garment_for_want_of_others():
    with pytest.raises(ValueError, match="garments=2 must be 0, or at least outfits"):
        SyntheticOptions(garments=2, outfits=3)


@pytest.mark.parametrize(("garments", "outfits"), [(12, 12), (300, 6)])
def test_nobody_repeats_a_garment_and_others_wear_it_too(garments, outfits):
    options = SyntheticOptions(garments=garments, outfits=outfits)
    wardrobe = make_wardrobe(options)
    assert len(wardrobe.tops) == len(wardrobe.bottoms) == garments
    assert len(wardrobe.shoes) == max(8, garments // 4)
    worn, uniforms = {}, set()
    for pid in range(1, 121):
        female = sample_identity(options, pid).female
        mine = sample_outfits(options, wardrobe, pid, female)
        assert len({o.top_index for o in mine}) == outfits
        assert len({o.bottom_index for o in mine}) == outfits
        kinds = {kind for o in mine for kind in (o.top.kind, o.bottom.kind)}
        assert female or not {"dress", "skirt"} & kinds
        for o in mine:
            worn.setdefault(o.top_index, set()).add(pid)
            if (o.top_index, o.bottom_index) in wardrobe.uniforms:
                uniforms.add(pid)
    assert np.median([len(people) for people in worn.values()]) >= 2
    assert len(uniforms) >= 12


def test_no_two_garments_are_alike():
    wardrobe = make_wardrobe(OPTIONS)
    for one, other in itertools.combinations(wardrobe.tops, 2):
        assert (one.sleeve, one.hem) != (other.sleeve, other.hem)
        assert not np.array_equal(one.fabric.colours, other.fabric.colours)


def figure(outfit, identity, yaw):
    """Colour [h, w, 3] and shares of labels [h, w, 8] of a walking person."""
    dressed = dress(load_body(), identity, outfit)
    pose = walking_pose(load_body(), dressed.joints, identity.gait, 1.0, 0.5)
    posed = place_figure(dressed, pose) @ rotation(1, yaw).T.astype(np.float32)
    points = posed * (60, -60, -1) + (SIZE[1] / 2, 70, 10)
    light = (np.array([0.0, 0, 1]), 0.6, 0.4)
    forward = np.array([0.0, 0, -1])
    return draw_figure(dressed, identity, outfit, posed, points, forward, light, SIZE)


@pytest.mark.parametrize("kind", KINDS)
def test_an_accessory_draws_pixels_of_its_label(kind):
    identity = sample_identity(OPTIONS, 2)
    outfit = sample_outfits(OPTIONS, make_wardrobe(OPTIONS), 2, identity.female)[0]
    changed = np.zeros(SIZE, bool)
    for yaw in (0.3, np.pi):
        drawn = []
        for colour in (0.2, 0.9):
            item = Accessory(kind, 1, 1.0, np.full((2, 3), colour))
            worn = dataclasses.replace(outfit, accessories=(item,), bag=None)
            drawn.append(figure(worn, identity, yaw))
        (dark, share), (bright, _) = drawn
        differs = np.abs(bright - dark).max(-1) > 1e-3
        assert (share[differs, KINDS[kind]] > 0).all()
        np.testing.assert_allclose(share.sum(-1), 1, atol=1e-5)
        changed |= differs
    assert changed.sum() >= 4


def test_hair_is_hidden_by_what_wraps_the_head():
    identity = sample_identity(OPTIONS, 2)
    outfit = sample_outfits(OPTIONS, make_wardrobe(OPTIONS), 2, identity.female)[0]
    item = Accessory("headscarf", 1, 1.0, np.full((2, 3), 0.5))
    wrapped = dataclasses.replace(outfit, accessories=(item,), bag=None)
    identity = dataclasses.replace(identity, hair="long", hair_length=0.5)
    red, green = (
        dataclasses.replace(identity, hair_colour=np.array(colour))
        for colour in ((1.0, 0, 0), (0, 1.0, 0))
    )

    def hair(worn):
        one, other = (figure(worn, who, np.pi)[0] for who in (red, green))
        return (np.abs(one - other).max(-1) > 0.05).sum()

    assert hair(outfit) > 100
    assert hair(wrapped) < 5


def test_the_share_of_accessories_follows_the_field_and_clothes_do_not():
    counts, clothes = [], []
    for often in (0.0, 0.3, 1.0):
        options = dataclasses.replace(OPTIONS, accessories=often)
        wardrobe = make_wardrobe(options)
        found = [
            outfit
            for pid in range(1, 101)
            for outfit in sample_outfits(options, wardrobe, pid, pid % 2 == 0)
        ]
        kinds = [item.kind for outfit in found for item in outfit.accessories]
        counts.append({kind: kinds.count(kind) / len(found) for kind in KINDS})
        clothes.append([(o.top_index, o.bottom_index) for o in found])
    assert clothes[0] == clothes[1] == clothes[2]
    none, few, many = counts
    assert not any(none.values())
    assert sum(few.values()) < 0.45 * sum(many.values())
    assert min(many.values()) > 0.01
    assert 0.12 < many["mask"] < 0.28


def test_images_with_everything_on_are_determined_by_the_options():
    options = SyntheticOptions(garments=30, accessories=1.0, poses="any", seed=5)
    first = render(options, 3, 2, 1, 1)
    again = render(dataclasses.replace(options), 3, 2, 1, 1)
    other = render(dataclasses.replace(options, seed=6), 3, 2, 1, 1)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first[0] != other[0]).any()
    assert set(np.unique(first[1])) <= set(range(parsing.NUM_LABELS))


def test_the_default_world_stays_as_it_is():
    """Counts of labels, mean colour and JPEG quality of three images.

    Not their bytes, which other versions of NumPy and OpenCV may round differently.
    """
    made = {
        (1, 1, 1, 1): ([5684, 147, 1284, 842, 74, 66, 95, 0], (95.6, 122.03, 139.92)),
        (40, 2, 3, 1): ([5724, 80, 1276, 644, 96, 0, 372, 0], (145.3, 121.97, 122.11)),
        (96, 3, 4, 2): (
            [5773, 264, 532, 924, 146, 37, 121, 395],
            (100.04, 105.33, 108.52),
        ),
    }
    for shot, (counts, colour) in made.items():
        image, label, quality = render(SyntheticOptions(), *shot)
        found = np.bincount(label.ravel(), minlength=parsing.NUM_LABELS)
        np.testing.assert_allclose(found, counts, atol=3)
        np.testing.assert_allclose(image.mean((0, 1)), colour, atol=0.1)
        assert quality == (89 if shot[0] == 96 else 83)
