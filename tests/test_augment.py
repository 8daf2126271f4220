"""Augmentation: image and parsing map change together, from one key per example."""

import jax
import numpy as np
import pytest
import tiny

from mbnet_jax.parsing import labels
from mbnet_jax.training.augment import augment, example_keys

pytestmark = pytest.mark.gpu

PERSON = tiny.person()


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


def test_crop_moves_image_and_parsing_together():
    for key in range(5):
        image, parsing = changed(key, crop=1.0)
        assert not np.array_equal(parsing, PERSON)
        # Bilinear and nearest resampling differ by at most a neighbour's label, and
        # are equal inside a part.
        flat = np.asarray(parsing)
        inside = np.ones_like(flat, bool)
        for shift in np.ndindex(5, 5):
            inside &= np.roll(flat, np.array(shift) - 2, (0, 1)) == flat
        inside[:3] = inside[-3:] = inside[:, :3] = inside[:, -3:] = False
        assert inside.sum() > 500
        np.testing.assert_allclose(image[..., 0][inside], flat[inside], atol=1e-4)


def test_erasing_removes_one_rectangle_from_both():
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
        erased = np.asarray(parsing) == labels.BACKGROUND
        np.testing.assert_array_equal(np.asarray(image)[..., 0] == 0, erased)
        rows, columns = erased.any(1).sum(), erased.any(0).sum()
        assert erased.sum() == rows * columns
        shares.append(erased.mean())
    assert min(shares) > 0 and max(shares) < 0.45 and np.std(shares) > 0.05


def test_the_key_of_an_example_depends_only_on_seed_step_and_row():
    def data(*args):
        return jax.random.key_data(example_keys(*args))

    np.testing.assert_array_equal(data(0, 5, 8)[:4], data(0, 5, 4))
    for other in (data(1, 5, 8), data(0, 6, 8)):
        assert (data(0, 5, 8) != other).any(1).all()
    assert len(np.unique(data(0, 5, 8), axis=0)) == 8
