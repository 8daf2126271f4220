"""Random changes of an image together with its parsing map.

All functions take one example and its own key, and run on the device. Changes of colour
are in `augment_colour` and `augment_clothes`.
"""

import jax
import jax.numpy as jnp
from jax import random

from mbnet_jax import views
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD
from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.training import augment_colour
from mbnet_jax.training.augment_clothes import recolour

_ENLARGED = 9 / 8
_ERASED_AREA = (0.02, 0.4)  # of the image
_ERASED_ASPECT = (0.3, 1 / 0.3)  # height to width

# Apart from augmentation's own splits of an example's key
_PATHS = 0x0D1209
_COLOURS = 0xC0104

Example = tuple[jax.Array, jax.Array]


def example_keys(seed: int, step: jax.Array, batch_size: int) -> jax.Array:
    """One key for each row of the global batch: a function of seed, step and row."""
    at_step = random.fold_in(random.key(seed), step)
    return jax.vmap(random.fold_in, (None, 0))(at_step, jnp.arange(batch_size))


def path_keys(keys: jax.Array) -> jax.Array:
    """Keys [B] for drop path, from the examples' keys [B] of `example_keys`."""
    return jax.vmap(random.fold_in, (0, None))(keys, _PATHS)


def augment(
    image: jax.Array,
    parsing: jax.Array,
    key: jax.Array,
    *,
    flip: float,
    crop: float,
    erase: float,
    jitter: float = 0.0,
    grey: float = 0.0,
    blur: float = 0.0,
    clothes: float = 0.0,
) -> Example:
    """Applies each change with its probability, `clothes` to each of the garments.

    `image` is float32 [H, W, 3], normalised so that 0 is the mean colour;
    `parsing` is uint8 [H, W]. Erased pixels become the mean colour, and background in
    the parsing map.
    """
    flip_key, crop_key, erase_key = random.split(key, 3)
    image, parsing = _flip(image, parsing, random.bernoulli(flip_key, flip))
    image, parsing = _crop(image, parsing, crop_key, crop)
    chances = {"clothes": clothes, "jitter": jitter, "grey": grey, "blur": blur}
    if any(chances.values()):
        colour_key = random.fold_in(key, _COLOURS)
        image = _change_colours(image, parsing, colour_key, **chances)
    return _erase(image, parsing, erase_key, erase)


def _change_colours(image, parsing, key, *, clothes, jitter, grey, blur) -> jax.Array:
    mean, std = jnp.array(IMAGENET_MEAN), jnp.array(IMAGENET_STD)
    rgb = jnp.moveaxis(image * std + mean, -1, 0)
    do_key, clothes_key, jitter_key, blur_key = random.split(key, 4)
    do_jitter, do_grey, do_blur = random.uniform(do_key, (3,))
    if clothes:
        rgb = recolour(rgb, parsing, clothes_key, clothes)
    if jitter:
        new = augment_colour.jitter(rgb, jitter_key)
        rgb = jnp.where(do_jitter < jitter, new, rgb)
    if grey:
        rgb = jnp.where(do_grey < grey, augment_colour.luma(rgb), rgb)
    if blur:
        rgb = jnp.where(do_blur < blur, augment_colour.blur(rgb, blur_key), rgb)
    return (jnp.moveaxis(rgb, 0, -1) - mean) / std


def _flip(image: jax.Array, parsing: jax.Array, do: jax.Array) -> Example:
    return (
        jnp.where(do, image[:, ::-1], image),
        jnp.where(do, parsing[:, ::-1], parsing),
    )


def _crop(image, parsing, key, probability) -> Example:
    do_key, position_key = random.split(key)
    size = jnp.array(parsing.shape, jnp.float32)
    # Cutting the original size out of the enlarged image is the same as
    # enlarging a box of 8/9 of the size.
    box_size = size / _ENLARGED
    corner = random.uniform(position_key, (2,)) * (size - box_size)
    box = jnp.concatenate([corner, corner + box_size])
    do = random.bernoulli(do_key, probability)
    return (
        jnp.where(do, views.resample(image, box, parsing.shape), image),
        jnp.where(do, views.resample_labels(parsing, box, parsing.shape), parsing),
    )


def _erase(image, parsing, key, probability) -> Example:
    do_key, area_key, aspect_key, position_key = random.split(key, 4)
    height, width = parsing.shape
    low, high = jnp.log(jnp.array(_ERASED_ASPECT))
    aspect = jnp.exp(random.uniform(aspect_key, minval=low, maxval=high))
    area = random.uniform(area_key, minval=_ERASED_AREA[0], maxval=_ERASED_AREA[1])
    pixels = area * height * width
    extent = jnp.stack([jnp.sqrt(pixels * aspect), jnp.sqrt(pixels / aspect)])
    size = jnp.array(parsing.shape, jnp.float32)
    extent = jnp.minimum(extent, size)
    corner = random.uniform(position_key, (2,)) * (size - extent)
    rows, columns = jnp.arange(height), jnp.arange(width)
    inside_y = (rows >= corner[0]) & (rows < corner[0] + extent[0])
    inside_x = (columns >= corner[1]) & (columns < corner[1] + extent[1])
    erased = inside_y[:, None] & inside_x[None, :]
    erased &= random.bernoulli(do_key, probability)
    return (
        jnp.where(erased[..., None], 0.0, image),
        jnp.where(erased, BACKGROUND, parsing).astype(parsing.dtype),
    )
