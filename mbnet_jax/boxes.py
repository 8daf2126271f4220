"""Boxes of body parts from a parsing map, and the image content inside a box.

A box is float32 [4]: top, left, bottom, right in pixels, edges exclusive; it may
reach over the image's border. All functions take one example and are vmapped.
"""

import jax
import jax.numpy as jnp

from mbnet_jax.parsing import labels as labels

# Where a part is missing, this band of the person's box stands in: the share of
# the person's height above its lower and upper edge.
_HEAD_BAND = (0.0, 0.17)
_LEGS_BAND = (0.72, 1.0)
_MARGIN = 0.15  # of the part's size, on each side
# Fewer pixels than this share of the image are taken for a parser's slip.
_MIN_AREA = 5e-4
# A box leaves out this share of the part's pixels at each edge: strays.
_STRAYS = 0.01


def has_label(parsing: jax.Array, wanted: tuple[int, ...]) -> jax.Array:
    """Where `parsing` has one of the `wanted` labels, bool of the same shape."""
    return jnp.isin(parsing, jnp.array(wanted, parsing.dtype))


def _extent(counts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """First and last edge of what `counts` [n] (pixels per row) holds, less strays."""
    below = jnp.cumsum(counts)
    total = below[-1]
    first = jnp.sum(below <= _STRAYS * total)
    last = jnp.sum(below < (1 - _STRAYS) * total)
    return first.astype(jnp.float32), last.astype(jnp.float32) + 1


def _box_of(mask: jax.Array) -> jax.Array:
    top, bottom = _extent(mask.sum(1, dtype=jnp.float32))
    left, right = _extent(mask.sum(0, dtype=jnp.float32))
    return jnp.stack([top, left, bottom, right])


def _is_there(mask: jax.Array) -> jax.Array:
    return mask.sum() >= _MIN_AREA * mask.size


def person_box(parsing: jax.Array) -> jax.Array:
    """Box of everything that is not background in `parsing` [H, W]; else all of it."""
    mask = parsing != labels.BACKGROUND
    whole = jnp.array([0, 0, *parsing.shape], jnp.float32)
    return jnp.where(_is_there(mask), _box_of(mask), whole)


def _band(person: jax.Array, band: tuple[float, float]) -> jax.Array:
    top, left, bottom, right = person
    height = bottom - top
    return jnp.stack([top + band[0] * height, left, top + band[1] * height, right])


def _with_margin(box: jax.Array) -> jax.Array:
    top, left, bottom, right = box
    dy, dx = _MARGIN * (bottom - top), _MARGIN * (right - left)
    return jnp.stack([top - dy, left - dx, bottom + dy, right + dx])


def head_box(parsing: jax.Array) -> jax.Array:
    """Box of the head in `parsing` [H, W], with a margin that takes in the neck."""
    head = has_label(parsing, (labels.HEAD,))
    band = _band(person_box(parsing), _HEAD_BAND)
    return _with_margin(jnp.where(_is_there(head), _box_of(head), band))


def legs_box(parsing: jax.Array) -> jax.Array:
    """Box of legs and feet in `parsing` [H, W], with a margin.

    Long trousers leave only the shoes to see. The box is at least as high as the
    fixed band, so that the scale does not jump with the trousers' length.
    """
    legs = has_label(parsing, (labels.LEGS, labels.SHOES))
    person = person_box(parsing)
    band = _band(person, _LEGS_BAND)
    box = _box_of(legs)
    box = box.at[0].min(box[2] - (band[2] - band[0]))
    return _with_margin(jnp.where(_is_there(legs), box, band))


def fit_aspect(box: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Grows `box` around its centre to the height-to-width ratio of `size`."""
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    new_height = jnp.maximum(height, width * size[0] / size[1])
    new_width = jnp.maximum(width, height * size[1] / size[0])
    dy, dx = (new_height - height) / 2, (new_width - width) / 2
    return jnp.stack([top - dy, left - dx, bottom + dy, right + dx])


def resample(image: jax.Array, box: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Content of `box` in `image` [H, W, C] at `size`, bilinear; outside is 0.

    A filter as wide as the shrinking keeps small outputs free of aliasing.
    """
    scale = jnp.array(size) / (box[2:] - box[:2])
    return jax.image.scale_and_translate(
        image,
        (*size, image.shape[-1]),
        (0, 1),
        scale,
        -box[:2] * scale,
        method="linear",
        antialias=True,
    )


def resample_labels(
    parsing: jax.Array, box: jax.Array, size: tuple[int, int]
) -> jax.Array:
    """Content of `box` in `parsing` [H, W] at `size`, nearest; outside: background."""
    step = (box[2:] - box[:2]) / jnp.array(size)
    rows = jnp.floor(box[0] + (jnp.arange(size[0]) + 0.5) * step[0]).astype(int)
    columns = jnp.floor(box[1] + (jnp.arange(size[1]) + 0.5) * step[1]).astype(int)
    # mode="fill" takes negative indices for the other end; send them far out.
    far = max(parsing.shape) + 1
    rows = jnp.where(rows < 0, far, rows)
    columns = jnp.where(columns < 0, far, columns)
    return (
        jnp.asarray(parsing)
        .at[rows[:, None], columns[None, :]]
        .get(mode="fill", fill_value=labels.BACKGROUND)
    )
