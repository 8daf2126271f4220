"""Augmentation of colours: cameras' differences, and other colours of clothes."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from mbnet_jax.devices.mesh import batch_sharding, make_mesh
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD
from mbnet_jax.parsing.labels import CLOTHING
from mbnet_jax.training import augment_clothes, augment_colour
from mbnet_jax.training.augment import augment, example_keys

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("compiled_in_a_hurry")]

PERSON = tiny.person()
OFF = {"flip": 0.0, "crop": 0.0, "erase": 0.0}
ALL = {"jitter": 0.8, "grey": 0.3, "blur": 0.5, "clothes": 0.7}


def images(count=6, size=PERSON.shape):
    rng = np.random.default_rng(0)
    return rng.uniform(0.2, 0.8, (count, *size, 3)).astype(np.float32)


@lru_cache
def compiled(**chances):
    return jax.jit(jax.vmap(partial(augment, **OFF | chances), (0, None, 0)))


def changed(image, seed=0, **chances):
    """Augments RGB [B, H, W, 3] in 0 to 1 with the keys of a batch; RGB again."""
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    keys = example_keys(seed, jnp.int32(0), len(image))
    normalised = ((image - mean) / std).astype(np.float32)
    new, parsing = compiled(**chances)(normalised, PERSON, keys)
    np.testing.assert_array_equal(parsing, np.stack([PERSON] * len(image)))
    return np.asarray(new) * std + mean


def luma(rgb):
    return rgb @ np.array(augment_colour.LUMA)


def test_without_changes_of_colour_the_program_is_the_same():
    key = jax.random.key(0)
    plain = {"flip": 0.5, "crop": 0.5, "erase": 0.5}
    image, off = images(1)[0], dict.fromkeys(ALL, 0.0)
    programs = [
        str(jax.make_jaxpr(partial(augment, **chances))(image, PERSON, key))
        for chances in (plain, plain | off, plain | off | {"grey": 0.1})
    ]
    assert programs[0] == programs[1] != programs[2]


def test_changes_of_colour_leave_flip_crop_and_erasing_as_they_are():
    chances = {"flip": 0.5, "crop": 0.5, "erase": 0.5}
    keys = example_keys(3, jnp.int32(2), 6)
    ones = np.ones((6, *PERSON.shape, 3), np.float32)
    image, parsing = compiled(**chances)(ones, PERSON, keys)
    coloured, same = compiled(**chances, **ALL)(ones, PERSON, keys)
    np.testing.assert_array_equal(parsing, same)
    assert not np.array_equal(image, coloured)
    erased = (np.asarray(coloured) == 0).all(-1)
    assert erased.any() and not erased.all()
    assert (np.asarray(image)[erased] == 0).all()


def test_the_same_key_gives_the_same_image_and_another_key_another():
    image = images()
    first, again = changed(image, **ALL), changed(image, **ALL)
    np.testing.assert_array_equal(first, again)
    assert abs(first - changed(image, 1, **ALL)).max() > 0.1


@pytest.mark.parametrize("name", ALL)
def test_each_change_happens_with_its_probability(name):
    image = np.concatenate([images()] * 20)
    moved = abs(changed(image, **{name: 0.5}) - image).max((1, 2, 3)) > 1e-4
    expected = 0.5 if name != "clothes" else 0.75  # either of two garments
    assert abs(moved.mean() - expected) < 0.13


def test_grey_has_equal_channels_of_the_same_luminance():
    image = images()
    grey = changed(image, grey=1.0)
    np.testing.assert_allclose(grey, np.stack([luma(image)] * 3, -1), atol=1e-5)


def test_jitter_keeps_the_mean_luminance_within_its_brightness():
    image = images(40)
    new = changed(image, jitter=1.0)
    # Clipping moves some pixels, towards the middle.
    ratio = luma(new).mean((1, 2)) / luma(image).mean((1, 2))
    assert (abs(ratio - 1) < augment_colour.BRIGHTNESS + 0.02).all()
    assert ratio.std() > 0.1
    assert new.min() > -1e-5 and new.max() < 1 + 1e-5


def test_a_turned_hue_keeps_greys_and_luminance_and_comes_around():
    matrix = augment_colour.hue_matrix
    np.testing.assert_allclose(matrix(0.0, 1.0), np.eye(3), atol=1e-5)
    np.testing.assert_allclose(matrix(1.0, 1.0), np.eye(3), atol=1e-5)
    turned = np.asarray(matrix(0.2, 0.7))
    np.testing.assert_allclose(turned @ np.ones(3), np.ones(3), atol=1e-5)
    weights = np.array(augment_colour.LUMA)
    np.testing.assert_allclose(weights @ turned, weights, atol=1e-5)
    twice = matrix(0.1, 1.0) @ matrix(0.1, 1.0)
    np.testing.assert_allclose(twice, matrix(0.2, 1.0), atol=1e-5)


def test_blur_keeps_constants_and_sums_and_is_a_gaussian():
    constant = np.full((6, *PERSON.shape, 3), 0.3, np.float32)
    np.testing.assert_allclose(changed(constant, blur=1.0), constant, atol=1e-5)
    image = images()
    new = changed(image, blur=1.0)
    np.testing.assert_allclose(new.sum((1, 2)), image.sum((1, 2)), rtol=1e-5)
    assert (new.std((1, 2)) < image.std((1, 2)) + 1e-6).all()
    row = np.asarray(augment_colour.blur_matrix(64, 1.7))[32]
    at = np.arange(64) - 32
    assert (row * at**2).sum() == pytest.approx(1.7**2, rel=1e-4)


def test_only_clothes_and_the_pixels_beside_them_get_other_colours():
    image = images()
    moved = abs(changed(image, clothes=1.0) - image).max(-1) > 1e-4
    clothes = np.isin(PERSON, CLOTHING)
    near = np.zeros_like(clothes)
    for shift in np.ndindex(3, 3):
        near |= np.roll(clothes, np.array(shift) - 1, (0, 1))
    assert not moved[:, ~near].any()
    assert moved[:, clothes].mean() > 0.95


def test_upper_and_lower_clothes_change_apart_and_keep_their_folds(monkeypatch):
    for name in ("_PATTERNED", "_KEPT", "_INVERTED"):
        monkeypatch.setattr(augment_clothes, name, 0.0)
    compiled.cache_clear()
    image = np.full((40, *PERSON.shape, 3), 0.4, np.float32)
    image[:, ::8] = 0.5  # folds
    new = changed(image, clothes=1.0)
    compiled.cache_clear()
    colours = [new[:, label == PERSON].mean(1) for label in CLOTHING]
    assert abs(np.corrcoef(colours[0].ravel(), colours[1].ravel())[0, 1]) < 0.5
    for label, colour in zip(CLOTHING, colours, strict=True):
        assert colour.std(0).min() > 0.1
        garment = label == PERSON
        light, fold = luma(new)[:, garment], luma(image[0])[garment] > 0.45
        # Medians, since edges mix with what is beside them
        folds, flat = (np.median(light[:, part], 1) for part in (fold, ~fold))
        assert (folds > 1.05 * flat).all()


def test_colours_do_not_depend_on_the_number_of_devices():
    image = images()
    plain = changed(image, **ALL)
    split = batch_sharding(make_mesh(jax.devices()[:2]))
    np.testing.assert_allclose(
        changed(jax.device_put(image, split), **ALL), plain, atol=1e-5
    )
