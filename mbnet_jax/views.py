"""The views of a person that the branches take, made on the device.

A view is made from an image and its parsing map. Which crops count as
"clothing-unrelated" is our reading of the paper: the head with the neck above, legs
and feet below, each filling half of the view.

A box is float32 [4]: top, left, bottom, right in pixels, edges exclusive; it may
reach over the image's border.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD
from mbnet_jax.parsing import labels
from mbnet_jax.parsing.labels import BACKGROUND, CLOTHING_UNRELATED

Size = tuple[int, int]  # height, width in pixels


class View(NamedTuple):
    """One kind of view.

    Attributes:
      title: what pictures call it.
      channels: 3 for normalised RGB, 1 for values in [0, 1].
      make: (image float32 [H, W, 3] normalised, parsing uint8 [H, W], size) -> the
        view, float32 [height, width, channels].
      fades: whether it is made from an image with a background of the contrast
        `views.background`.
    """

    title: str
    channels: int
    make: Callable[[jax.Array, jax.Array, Size | None], jax.Array]
    fades: bool = False


class Targets(NamedTuple):
    """What the losses of the modules compare with, from the parsing map; float32.

    area: [B, H, W], 1 on clothing-unrelated parts of the view `image`.
    foreground: [B, Hc, Wc], 1 on the person in the view `crops`.
    parsing: uint8 [B, H, W], the parsing map itself; None: the losses do not need it.
    """

    area: jax.Array
    foreground: jax.Array
    parsing: jax.Array | None = None


def normalise(image: jax.Array) -> jax.Array:
    """Scales uint8 RGB [..., 3] to float32 of mean about 0 and std about 1."""
    scaled = image.astype(jnp.float32) / 255
    return (scaled - jnp.array(IMAGENET_MEAN)) / jnp.array(IMAGENET_STD)


def denormalise(image: np.ndarray) -> np.ndarray:
    """Inverts `normalise`, to uint8 RGB [..., 3] for display."""
    scaled = np.asarray(image) * IMAGENET_STD + IMAGENET_MEAN
    return (scaled * 255).round().clip(0, 255).astype(np.uint8)


def make_views(
    image: jax.Array,
    parsing: jax.Array | None,
    options: Mapping[str, Size | float],
    names: Iterable[str] | None = None,
) -> dict[str, jax.Array]:
    """Makes a batch's views: name -> float32 [B, height, width, channels].

    Args:
      image: float32 [B, H, W, 3], normalised.
      parsing: uint8 [B, H, W], canonical labels; None if only `image` is wanted.
      options: `config.views`: view -> height, width, of which that of `crops` is even;
        and the background's contrast. `image` keeps its own size.
      names: the views to make, of `VIEWS`; all unless given.
    """
    chosen = VIEWS if names is None else tuple(names)
    if parsing is None:
        parsing = jnp.zeros(image.shape[:3], jnp.uint8)

    contrast = options.get("background", 1.0)

    def one(image, parsing):
        faded = fade(image, parsing, contrast) if contrast < 1 else image
        return {
            n: VIEWS[n].make(
                faded if VIEWS[n].fades else image, parsing, options.get(n)
            )
            for n in chosen
        }

    return jax.vmap(one)(image, parsing)


def make_targets(parsing: jax.Array, sizes: Mapping[str, Size]) -> Targets:
    """Makes the targets of a batch of parsing maps, uint8 [B, H, W]."""

    def one(parsing):
        parts = [
            resample_labels(parsing, box, size)
            for box, size in _head_and_legs(parsing, sizes["crops"])
        ]
        return Targets(
            area=has_label(parsing, CLOTHING_UNRELATED).astype(jnp.float32),
            foreground=(jnp.concatenate(parts) != BACKGROUND).astype(jnp.float32),
            parsing=parsing,
        )

    return jax.vmap(one)(parsing)


def fade(image: jax.Array, parsing: jax.Array, contrast: float) -> jax.Array:
    """Gives the background another contrast; ours.

    Backgrounds tell cameras apart, not people, and those of new cameras are unknown.

    Args:
      image: float32 [H, W, 3], normalised.
      parsing: uint8 [H, W], canonical labels. Without a person in it, nothing changes.
      contrast: 1: as it is; 0: the mean colour everywhere.
    """
    person = parsing != BACKGROUND
    kept = person | ~exists(person)
    return jnp.where(kept[..., None], image, contrast * image)


def _whole_image(image: jax.Array, parsing: jax.Array, size: Size | None) -> jax.Array:
    del parsing, size
    return image


def _head_over_legs(image: jax.Array, parsing: jax.Array, size: Size) -> jax.Array:
    parts = [resample(image, box, half) for box, half in _head_and_legs(parsing, size)]
    return jnp.concatenate(parts)


def _silhouette(image: jax.Array, parsing: jax.Array, size: Size) -> jax.Array:
    del image
    silhouette = (parsing != BACKGROUND).astype(jnp.float32)[..., None]
    whole = jnp.array([0, 0, *parsing.shape], jnp.float32)
    return resample(silhouette, whole, size)


VIEWS: dict[str, View] = {
    "image": View("the image", 3, _whole_image),
    "crops": View("head over legs", 3, _head_over_legs, fades=True),
    "silhouette": View("silhouette", 1, _silhouette),
}


def _head_and_legs(parsing: jax.Array, size: Size) -> list[tuple[jax.Array, Size]]:
    """The boxes of both crops, and the half of the view that each fills."""
    half = (size[0] // 2, size[1])
    return [(fit_aspect(find(parsing), half), half) for find in (head_box, legs_box)]


# Where a part is missing, this band of the person's box stands in: the share of
# the person's height above its lower and upper edge.
_HEAD_BAND = (0.0, 0.17)
_LEGS_BAND = (0.72, 1.0)
_MARGIN = 0.15  # of the part's size, on each side
# A part with less than this share of the image is taken for a parser's error.
_MIN_AREA = 5e-4
# A box leaves out this share of the part's pixels at each edge, as strays.
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


def box_of(mask: jax.Array) -> jax.Array:
    """The box of what is true in `mask` [H, W], less strays."""
    top, bottom = _extent(mask.sum(1, dtype=jnp.float32))
    left, right = _extent(mask.sum(0, dtype=jnp.float32))
    return jnp.stack([top, left, bottom, right])


def exists(mask: jax.Array) -> jax.Array:
    """Whether there is more in `mask` [H, W] than a parser's error."""
    return mask.sum() >= _MIN_AREA * mask.size


def person_box(parsing: jax.Array) -> jax.Array:
    """Box of everything that is not background in `parsing` [H, W]; else all of it."""
    mask = parsing != labels.BACKGROUND
    whole = jnp.array([0, 0, *parsing.shape], jnp.float32)
    return jnp.where(exists(mask), box_of(mask), whole)


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
    head = has_label(parsing, labels.HEAD_PART)
    band = _band(person_box(parsing), _HEAD_BAND)
    return _with_margin(jnp.where(exists(head), box_of(head), band))


def legs_box(parsing: jax.Array) -> jax.Array:
    """Box of legs and feet in `parsing` [H, W], with a margin.

    Long trousers leave only the shoes to see. The box is at least as high as the
    fixed band, so that the scale does not jump with the trousers' length.
    """
    legs = has_label(parsing, labels.LEGS_PART)
    person = person_box(parsing)
    band = _band(person, _LEGS_BAND)
    box = box_of(legs)
    box = box.at[0].min(box[2] - (band[2] - band[0]))
    return _with_margin(jnp.where(exists(legs), box, band))


def fit_aspect(box: jax.Array, size: Size) -> jax.Array:
    """Grows `box` around its centre to the height-to-width ratio of `size`."""
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    new_height = jnp.maximum(height, width * size[0] / size[1])
    new_width = jnp.maximum(width, height * size[1] / size[0])
    dy, dx = (new_height - height) / 2, (new_width - width) / 2
    return jnp.stack([top - dy, left - dx, bottom + dy, right + dx])


def resample(image: jax.Array, box: jax.Array, size: Size) -> jax.Array:
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


def resample_labels(parsing: jax.Array, box: jax.Array, size: Size) -> jax.Array:
    """Content of `box` in `parsing` [H, W] at `size`, nearest; outside: background."""
    step = (box[2:] - box[:2]) / jnp.array(size)
    rows = jnp.floor(box[0] + (jnp.arange(size[0]) + 0.5) * step[0]).astype(int)
    columns = jnp.floor(box[1] + (jnp.arange(size[1]) + 0.5) * step[1]).astype(int)
    # mode="fill" takes negative indices for the other end; send them far out.
    far = max(parsing.shape) + 1
    rows = jnp.where(rows < 0, far, rows)
    columns = jnp.where(columns < 0, far, columns)
    chosen = jnp.asarray(parsing).at[rows[:, None], columns[None, :]]
    return chosen.get(mode="fill", fill_value=BACKGROUND)
