"""Batches that threads read and a network embeds: order, padding, unreadable images."""

import jax.numpy as jnp
import numpy as np
import pytest

from mbnet_jax.evaluation.batches import embed_batches, read_batches

HEIGHT, WIDTH = 3, 2


def load(index: int):
    """An image and a map that are filled with their index."""
    image = np.full((HEIGHT, WIDTH, 3), index, np.uint8)
    return image, np.full((HEIGHT, WIDTH), 100 + index, np.uint8)


def load_some(index: int):
    """As `load`, but images 2 and 4 to 7 cannot be read."""
    if index in (2, 4, 5, 6, 7):
        raise ValueError(f"no image {index}")
    return load(index)


def embed(image, parsing):
    """One number per image: that which fills it, in two arrays."""
    return {"image": image[:, :1, 0, 0], "map": jnp.asarray(parsing)[:, :1, 0]}


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9])
def test_every_image_is_embedded_once_and_in_order(count):
    batches = read_batches(load, count, (4, HEIGHT, WIDTH), threads=3)
    found = [*embed_batches(embed, batches, count)]
    indices = [index for part, _ in found for index in part]
    assert indices == list(range(count))
    for part, rows in found:
        # The padding of the last batch is dropped.
        np.testing.assert_array_equal(rows["image"][:, 0], list(part))
        np.testing.assert_array_equal(rows["map"][:, 0], np.add(part, 100))


def test_unreadable_images_are_reported_and_left_out():
    failures = {}
    batches = read_batches(
        load_some,
        10,
        (4, HEIGHT, WIDTH),
        3,
        lambda i, error: failures.update({i: error}),
    )
    found = [*embed_batches(embed, batches, 10)]
    # No batch of the images 4 to 7, which are all unreadable.
    assert [list(part) for part, _ in found] == [[0, 1, 3], [8, 9]]
    rows = np.concatenate([rows["image"][:, 0] for _, rows in found])
    assert rows.tolist() == [0, 1, 3, 8, 9]
    assert [str(failures[i]) for i in (2, 4, 5, 6, 7)] == [
        f"no image {i}" for i in (2, 4, 5, 6, 7)
    ]


def test_without_a_report_the_error_is_raised():
    batches = read_batches(load_some, 10, (4, HEIGHT, WIDTH), 3)
    with pytest.raises(ValueError, match="no image 2"):
        [*embed_batches(embed, batches, 10)]


def test_a_batch_is_embedded_before_the_one_before_it_is_fetched():
    embedded = []

    def noted(image, parsing):
        embedded.append(int(image[0, 0, 0, 0]))
        return embed(image, parsing)

    batches = read_batches(load, 6, (2, HEIGHT, WIDTH), 3)
    running = embed_batches(noted, batches, 6)
    assert list(next(running)[0]) == [0, 1] and embedded == [0, 2]
    assert list(next(running)[0]) == [2, 3] and embedded == [0, 2, 4]
    assert list(next(running)[0]) == [4, 5] and not [*running]
