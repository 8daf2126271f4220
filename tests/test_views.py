import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from mbnet_jax import boxes
from mbnet_jax.parsing import labels as labels
from mbnet_jax.training.augment import augment, example_keys
from mbnet_jax.views import normalise, views_of

PERSON = tiny.person()
# The head is rows 4-11, columns 12-19; a margin of 0.15 x 8 pixels on each side.
HEAD = np.array([4, 12, 12, 20])
MARGIN = 0.15 * 8 * np.array([-1, -1, 1, 1])


def test_head_box_is_the_heads_extent_with_a_margin():
    np.testing.assert_allclose(boxes.head_box(PERSON), HEAD + MARGIN, rtol=1e-6)


def test_a_stray_pixel_does_not_stretch_a_box():
    big = tiny.person(head=12)
    stray = big.copy()
    stray[63, 0] = labels.HEAD
    np.testing.assert_array_equal(boxes.head_box(stray), boxes.head_box(big))


def test_a_missing_head_falls_back_to_a_band_of_the_person():
    headless = np.where(PERSON == labels.HEAD, labels.UPPER_CLOTHES, PERSON)
    top, _, bottom, _ = boxes.head_box(headless)
    height = 60 - 4  # of the person
    np.testing.assert_allclose(
        [top, bottom], [4 - 0.15 * 0.17 * height, 4 + 1.15 * 0.17 * height], rtol=1e-5
    )


def test_legs_box_keeps_its_height_under_long_trousers():
    trousers = np.where(PERSON == labels.LEGS, labels.LOWER_CLOTHES, PERSON)
    barefoot = np.where(PERSON >= labels.LEGS, labels.LOWER_CLOTHES, PERSON)
    for covered in (trousers, barefoot):
        top, _, bottom, _ = boxes.legs_box(covered)
        band = 0.28 * (60 - 4)
        np.testing.assert_allclose(bottom - top, 1.3 * band, rtol=1e-5)
        np.testing.assert_allclose(bottom, 60 + 0.15 * band, rtol=1e-5)


def test_an_empty_parsing_map_gives_bands_of_the_whole_image():
    empty = np.zeros_like(PERSON)
    np.testing.assert_array_equal(boxes.person_box(empty), [0, 0, 64, 32])
    assert np.isfinite(boxes.head_box(empty)).all()
    assert boxes.legs_box(empty)[0] > boxes.head_box(empty)[2]


def test_fit_aspect_grows_around_the_centre():
    box = boxes.fit_aspect(jnp.array([10.0, 10, 20, 14]), (32, 32))
    np.testing.assert_allclose(box, [10, 7, 20, 17])


def test_resampling_the_whole_image_at_its_size_changes_nothing():
    image = np.random.default_rng(0).normal(size=(64, 32, 3)).astype(np.float32)
    whole = jnp.array([0.0, 0, 64, 32])
    np.testing.assert_allclose(boxes.resample(image, whole, (64, 32)), image, atol=1e-6)
    np.testing.assert_array_equal(
        boxes.resample_labels(PERSON, whole, (64, 32)), PERSON
    )


def test_outside_the_image_is_zero_and_background():
    image, parsing = np.ones((8, 8, 1), np.float32), np.ones((8, 8), np.uint8)
    box = jnp.array([-8.0, -8, 16, 16])
    expected = np.pad(np.ones((8, 8)), 8)
    labels_ = boxes.resample_labels(parsing, box, (24, 24))
    np.testing.assert_array_equal(labels_, expected)
    np.testing.assert_array_equal(
        boxes.resample(image, box, (24, 24))[..., 0], expected
    )


def test_views_of_a_mirrored_image_are_mirrored():
    image = np.random.default_rng(0).normal(size=(1, 64, 32, 3)).astype(np.float32)
    sizes = {"crop_size": (64, 32), "mask_size": (32, 16)}
    straight = views_of(image, PERSON[None], **sizes)
    mirrored = views_of(image[:, :, ::-1], PERSON[None, :, ::-1], **sizes)
    for one, other in zip(straight, mirrored, strict=True):
        np.testing.assert_allclose(one[:, :, ::-1], other, atol=2e-5)


def test_views_show_head_over_feet_and_the_unrelated_area():
    colours = np.zeros((64, 32, 3), np.float32)
    colours[PERSON == labels.HEAD] = (1, 0, 0)
    colours[PERSON == labels.SHOES] = (0, 1, 0)
    views = views_of(
        colours[None], PERSON[None], crop_size=(64, 32), mask_size=(32, 16)
    )
    red, green = views.crops[0, ..., 0], views.crops[0, ..., 1]
    assert red[16, 16] == pytest.approx(1) and red[32:].max() == 0
    assert green[32:].max() == pytest.approx(1) and green[:32].max() == 0
    unrelated = np.isin(PERSON, (labels.HEAD, labels.LEGS, labels.SHOES))
    np.testing.assert_array_equal(views.area[0], unrelated)
    # Half the size each way: a quarter of the silhouette's pixels.
    assert views.silhouette.sum() == pytest.approx((PERSON > 0).sum() / 4, rel=0.02)
    assert views.foreground[0, 16, 16] == 1 and views.foreground[0, 16, 0] == 0


def test_normalised_grey_of_imagenets_mean_is_zero():
    mean = np.round(np.array([0.485, 0.456, 0.406]) * 255).astype(np.uint8)
    assert abs(np.asarray(normalise(mean))).max() < 0.01


def changed(key=0, **probabilities):
    """Augments an image whose colour is its parsing label."""
    image = np.repeat(PERSON[..., None], 3, axis=2).astype(np.float32)
    off = {"flip": 0.0, "crop": 0.0, "erase": 0.0}
    return augment(image, PERSON, jax.random.key(key), **(off | probabilities))


def test_augmentation_switched_off_changes_nothing():
    image, parsing = changed()
    np.testing.assert_array_equal(image[..., 0], PERSON)
    np.testing.assert_array_equal(parsing, PERSON)


def test_flip_mirrors_image_and_parsing():
    image, parsing = changed(flip=1.0)
    np.testing.assert_array_equal(image[..., 0], PERSON[:, ::-1])
    np.testing.assert_array_equal(parsing, PERSON[:, ::-1])


def test_crop_moves_image_and_parsing_alike():
    for key in range(5):
        image, parsing = changed(key, crop=1.0)
        assert not np.array_equal(parsing, PERSON)
        # Bilinear and nearest differ by at most a neighbour's label; inside a
        # part they are equal.
        flat = np.asarray(parsing)
        inside = np.ones_like(flat, bool)
        for shift in np.ndindex(5, 5):
            inside &= np.roll(flat, np.array(shift) - 2, (0, 1)) == flat
        inside[:3] = inside[-3:] = inside[:, :3] = inside[:, -3:] = False
        assert inside.sum() > 500
        np.testing.assert_allclose(image[..., 0][inside], flat[inside], atol=1e-4)


def test_erasing_takes_one_rectangle_out_of_both():
    shares = []
    for key in range(20):
        ones = np.ones((64, 32), np.uint8)
        image, parsing = augment(
            np.ones((64, 32, 3), np.float32),
            ones,
            jax.random.key(key),
            flip=0.0,
            crop=0.0,
            erase=1.0,
        )
        gone = np.asarray(parsing) == labels.BACKGROUND
        np.testing.assert_array_equal(np.asarray(image)[..., 0] == 0, gone)
        rows, columns = gone.any(1).sum(), gone.any(0).sum()
        assert gone.sum() == rows * columns
        shares.append(gone.mean())
    assert min(shares) > 0 and max(shares) < 0.45 and np.std(shares) > 0.05


def test_an_examples_key_depends_on_seed_step_and_row_alone():
    def data(*args):
        return jax.random.key_data(example_keys(*args))

    np.testing.assert_array_equal(data(0, 5, 8)[:4], data(0, 5, 4))
    for other in (data(1, 5, 8), data(0, 6, 8)):
        assert (data(0, 5, 8) != other).any(1).all()
    assert len(np.unique(data(0, 5, 8), axis=0)) == 8
