"""The three views of a person that the branches take, made on the device.

Which crops stand for "clothing-unrelated" is our reading of the paper: the head
with the neck above, legs and feet below, each filling half of the view.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax import boxes
from mbnet_jax.parsing.labels import BACKGROUND, CLOTHING_UNRELATED

# ImageNet's mean and deviation of RGB in [0, 1].
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class Views(NamedTuple):
    """The branches' inputs and the parsing targets of their losses, float32.

    image: [B, H, W, 3] normalised; the global branch's.
    crops: [B, Hc, Wc, 3] normalised, head over legs; the clothing-unrelated one's.
    silhouette: [B, Hm, Wm, 1] in [0, 1]; the mask branch's.
    area: [B, H, W], 1 on clothing-unrelated parts of `image`.
    foreground: [B, Hc, Wc], 1 on the person in `crops`.
    """

    image: jax.Array
    crops: jax.Array
    silhouette: jax.Array
    area: jax.Array
    foreground: jax.Array

    def inputs(self) -> dict[str, jax.Array]:
        """What the network takes, by the name it knows."""
        return {
            "global": self.image,
            "clothing_unrelated": self.crops,
            "silhouette": self.silhouette,
        }


def normalise(image: jax.Array) -> jax.Array:
    """uint8 RGB [..., 3] to float32 of mean about 0 and deviation about 1."""
    scaled = image.astype(jnp.float32) / 255
    return (scaled - jnp.array(MEAN)) / jnp.array(DEVIATION)


def denormalise(image: np.ndarray) -> np.ndarray:
    """What `normalise` was given, uint8 RGB [..., 3], to look at."""
    scaled = np.asarray(image) * DEVIATION + MEAN
    return (scaled * 255).round().clip(0, 255).astype(np.uint8)


def _views_of_one(
    image: jax.Array,
    parsing: jax.Array,
    *,
    crop_size: tuple[int, int],
    mask_size: tuple[int, int],
) -> Views:
    half = (crop_size[0] // 2, crop_size[1])
    parts = [
        boxes.fit_aspect(find(parsing), half)
        for find in (boxes.head_box, boxes.legs_box)
    ]
    crops = [boxes.resample(image, box, half) for box in parts]
    crop_labels = [boxes.resample_labels(parsing, box, half) for box in parts]
    silhouette = (parsing != BACKGROUND).astype(jnp.float32)[..., None]
    whole = jnp.array([0, 0, *parsing.shape], jnp.float32)
    return Views(
        image=image,
        crops=jnp.concatenate(crops),
        silhouette=boxes.resample(silhouette, whole, mask_size),
        area=boxes.has_label(parsing, CLOTHING_UNRELATED).astype(jnp.float32),
        foreground=(jnp.concatenate(crop_labels) != BACKGROUND).astype(jnp.float32),
    )


def views_of(
    image: jax.Array,
    parsing: jax.Array,
    *,
    crop_size: tuple[int, int],
    mask_size: tuple[int, int],
) -> Views:
    """Makes a batch's views.

    Args:
      image: float32 [B, H, W, 3], normalised.
      parsing: uint8 [B, H, W], canonical labels.
      crop_size: height, width of the clothing-unrelated view; the height is even.
      mask_size: height, width of the silhouette view.
    """
    make = partial(_views_of_one, crop_size=crop_size, mask_size=mask_size)
    return jax.vmap(make)(image, parsing)
