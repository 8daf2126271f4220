"""Views: the boxes of head and legs, resampling, and what each view shows."""

import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from mbnet_jax import views
from mbnet_jax.parsing import labels

pytestmark = pytest.mark.gpu

PERSON = tiny.person()
SIZES = {"crops": (64, 32), "silhouette": (32, 16)}
# The head is rows 4-11, columns 12-19; a margin of 0.15 x 8 pixels on each side.
HEAD = np.array([4, 12, 12, 20])
MARGIN = 0.15 * 8 * np.array([-1, -1, 1, 1])


def random_image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_the_head_box_is_the_extent_of_the_head_with_a_margin():
    np.testing.assert_allclose(views.head_box(PERSON), HEAD + MARGIN, rtol=1e-6)


def test_a_stray_pixel_does_not_stretch_a_box():
    big = tiny.person(head=12)
    stray = big.copy()
    stray[63, 0] = labels.HEAD
    np.testing.assert_array_equal(views.head_box(stray), views.head_box(big))


def test_a_missing_head_falls_back_to_a_band_of_the_person():
    headless = np.where(PERSON == labels.HEAD, labels.UPPER_CLOTHES, PERSON)
    top, _, bottom, _ = views.head_box(headless)
    height = 60 - 4  # of the person
    np.testing.assert_allclose(
        [top, bottom], [4 - 0.15 * 0.17 * height, 4 + 1.15 * 0.17 * height], rtol=1e-5
    )


def test_the_legs_box_keeps_its_height_under_long_trousers():
    trousers = np.where(PERSON == labels.LEGS, labels.LOWER_CLOTHES, PERSON)
    barefoot = np.where(PERSON >= labels.LEGS, labels.LOWER_CLOTHES, PERSON)
    for covered in (trousers, barefoot):
        top, _, bottom, _ = views.legs_box(covered)
        band = 0.28 * (60 - 4)
        np.testing.assert_allclose(bottom - top, 1.3 * band, rtol=1e-5)
        np.testing.assert_allclose(bottom, 60 + 0.15 * band, rtol=1e-5)


def test_an_empty_parsing_map_gives_bands_of_the_whole_image():
    empty = np.zeros_like(PERSON)
    np.testing.assert_array_equal(views.person_box(empty), [0, 0, 64, 32])
    assert np.isfinite(views.head_box(empty)).all()
    assert views.legs_box(empty)[0] > views.head_box(empty)[2]


def test_fit_aspect_grows_around_the_centre():
    box = views.fit_aspect(jnp.array([10.0, 10, 20, 14]), (32, 32))
    np.testing.assert_allclose(box, [10, 7, 20, 17])


def test_resampling_the_whole_image_at_its_size_changes_nothing():
    image = random_image(64, 32, 3)
    whole = jnp.array([0.0, 0, 64, 32])
    np.testing.assert_allclose(views.resample(image, whole, (64, 32)), image, atol=1e-6)
    np.testing.assert_array_equal(
        views.resample_labels(PERSON, whole, (64, 32)), PERSON
    )


def test_outside_the_image_is_zero_and_background():
    image, parsing = np.ones((8, 8, 1), np.float32), np.ones((8, 8), np.uint8)
    box = jnp.array([-8.0, -8, 16, 16])
    expected = np.pad(np.ones((8, 8)), 8)
    np.testing.assert_array_equal(
        views.resample_labels(parsing, box, (24, 24)), expected
    )
    np.testing.assert_array_equal(
        views.resample(image, box, (24, 24))[..., 0], expected
    )


def test_views_of_a_mirrored_image_are_mirrored():
    image = random_image(1, 64, 32, 3)
    made = views.make_views(image, PERSON[None], SIZES)
    made_mirrored = views.make_views(image[:, :, ::-1], PERSON[None, :, ::-1], SIZES)
    assert set(made) == set(made_mirrored) == set(views.VIEWS)
    for name, view in made.items():
        np.testing.assert_allclose(view[:, :, ::-1], made_mirrored[name], atol=2e-5)


def test_targets_of_a_mirrored_map_are_mirrored():
    targets = views.make_targets(PERSON[None], SIZES)
    mirrored = views.make_targets(PERSON[None, :, ::-1], SIZES)
    for one, other in zip(targets, mirrored, strict=True):
        np.testing.assert_allclose(one[:, :, ::-1], other, atol=2e-5)


def test_crops_show_the_head_over_the_feet():
    colours = np.zeros((64, 32, 3), np.float32)
    colours[PERSON == labels.HEAD] = (1, 0, 0)
    colours[PERSON == labels.SHOES] = (0, 1, 0)
    made = views.make_views(colours[None], PERSON[None], SIZES)
    red, green = made["crops"][0, ..., 0], made["crops"][0, ..., 1]
    assert red[16, 16] == pytest.approx(1) and red[32:].max() == 0
    assert green[32:].max() == pytest.approx(1) and green[:32].max() == 0
    # Half the size each way: a quarter of the silhouette's pixels.
    silhouette = made["silhouette"]
    assert silhouette.sum() == pytest.approx((PERSON > 0).sum() / 4, rel=0.02)


def test_the_crops_alone_have_a_fainter_background():
    image = random_image(1, 64, 32, 3)
    person = (PERSON != labels.BACKGROUND)[None, ..., None]
    by_hand = np.where(person, image, 0.25 * image)
    fainter = views.make_views(image, PERSON[None], {**SIZES, "background": 0.25})
    for name, expected in views.make_views(by_hand, PERSON[None], SIZES).items():
        wanted = image if name == "image" else expected
        np.testing.assert_allclose(fainter[name], wanted, atol=1e-6, err_msg=name)
    plain = views.make_views(image, PERSON[None], SIZES)
    assert abs(fainter["crops"] - plain["crops"]).max() > 0.1


def test_without_contrast_the_background_of_the_crops_does_not_matter():
    image, other = random_image(1, 64, 32, 3), np.ones((1, 64, 32, 3), np.float32)
    other = np.where((PERSON != labels.BACKGROUND)[..., None], image, other)
    one, two = (
        views.make_views(x, PERSON[None], {**SIZES, "background": 0.0})["crops"]
        for x in (image, other)
    )
    np.testing.assert_array_equal(one, two)


def test_where_no_person_is_found_all_keeps_its_contrast():
    image, nobody = random_image(64, 32, 3), np.zeros_like(PERSON)
    np.testing.assert_array_equal(views.fade(image, nobody, 0.0), image)


def test_targets_are_the_unrelated_area_and_the_person_in_the_crops():
    area, foreground, parsing = views.make_targets(PERSON[None], SIZES)
    unrelated = np.isin(PERSON, (labels.HEAD, labels.LEGS, labels.SHOES))
    np.testing.assert_array_equal(area[0], unrelated)
    assert foreground[0, 16, 16] == 1 and foreground[0, 16, 0] == 0
    np.testing.assert_array_equal(parsing, PERSON[None])
    assert area.dtype == foreground.dtype == jnp.float32
    assert area.shape == (1, 64, 32) and foreground.shape == (1, 64, 32)


def test_views_have_the_sizes_and_channels_of_the_table():
    image, parsing = random_image(2, 64, 32, 3), np.stack([PERSON, PERSON])
    sizes = {"crops": (48, 40), "silhouette": (20, 12)}
    made = views.make_views(image, parsing, sizes)
    assert set(made) == set(views.VIEWS)
    for name, view in made.items():
        size = sizes.get(name, (64, 32))  # the image keeps its own
        assert view.shape == (2, *size, views.VIEWS[name].channels), name
        assert view.dtype == jnp.float32, name
    np.testing.assert_array_equal(made["image"], image)


def test_only_the_named_views_are_made():
    image = random_image(2, 64, 32, 3)
    parsing = np.stack([PERSON, np.zeros_like(PERSON)])
    everything = views.make_views(image, parsing, SIZES)
    # A view that is not wanted needs no size.
    some = views.make_views(
        image, parsing, {"silhouette": (32, 16)}, ("silhouette", "image")
    )
    assert set(some) == {"silhouette", "image"}
    for name, view in some.items():
        np.testing.assert_array_equal(view, everything[name])
    assert views.make_views(image, parsing, SIZES, ()) == {}


def test_the_image_is_made_without_a_parsing_map():
    image = random_image(2, 64, 32, 3)
    made = views.make_views(image, None, {}, ("image",))
    assert list(made) == ["image"]
    np.testing.assert_array_equal(made["image"], image)


def test_imagenets_mean_colour_is_normalised_to_zero():
    mean = np.round(np.array([0.485, 0.456, 0.406]) * 255).astype(np.uint8)
    assert abs(np.asarray(views.normalise(mean))).max() < 0.01


def test_denormalise_inverts_normalise():
    pixels = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    np.testing.assert_array_equal(views.denormalise(views.normalise(pixels)), pixels)
    assert views.normalise(pixels).dtype == jnp.float32
