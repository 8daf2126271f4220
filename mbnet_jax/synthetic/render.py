"""Renders one image of a person in an outfit at a camera, and its parsing map."""

import dataclasses
import functools

import numpy as np

from mbnet_jax.synthetic.accessories import accessorize
from mbnet_jax.synthetic.background import (
    TEXELS,
    draw_background,
    draw_occluder,
)
from mbnet_jax.synthetic.body import load_body
from mbnet_jax.synthetic.camera import Camera, expose, look_at_person, make_camera
from mbnet_jax.synthetic.dressing import Dressed, dress
from mbnet_jax.synthetic.figure import draw_figure, pose_figure
from mbnet_jax.synthetic.identity import Identity, random_identity, sample_identity
from mbnet_jax.synthetic.options import IMAGE, PASSERSBY, SyntheticOptions
from mbnet_jax.synthetic.wardrobe import (
    Outfit,
    Wardrobe,
    make_wardrobe,
    random_outfits,
    sample_outfits,
)

_OCCLUDED = 0.15  # share of the images
_PASSERSBY = 6  # in front of the wall of each camera


@functools.lru_cache(maxsize=4)
def _wardrobe(options: SyntheticOptions) -> Wardrobe:
    return make_wardrobe(options)


@functools.lru_cache(maxsize=8)
def _dressed(
    options: SyntheticOptions, pid: int, outfit: int
) -> tuple[Identity, Outfit, Dressed]:
    identity = sample_identity(options, pid)
    worn = sample_outfits(options, _wardrobe(options), pid, identity.female)
    worn = worn[outfit - 1]
    return identity, worn, dress(load_body(), identity, worn)


@functools.lru_cache(maxsize=64)
def _camera(options: SyntheticOptions, number: int) -> Camera:
    """Returns a camera, with strangers drawn in front of its wall."""
    camera = make_camera(options, number)
    wall = camera.wall.copy()
    rng = options.rng(PASSERSBY, number)
    size = (int(2.1 * TEXELS), int(1.2 * TEXELS))
    for _ in range(_PASSERSBY):
        stranger = random_identity(rng)
        outfit = random_outfits(rng, _wardrobe(options), stranger.female, 1)
        outfit = accessorize(rng, outfit, stranger.female, options)[0]
        dressed = dress(load_body(), stranger, outfit)
        posed = pose_figure(
            dressed, stranger, rng.uniform(-np.pi, np.pi), rng, options.poses
        )
        # Orthographic, from the front; the wall's rows grow upwards.
        points = posed * (TEXELS, -TEXELS, -1) + (size[1] / 2, size[0], 10)
        colour, share = draw_figure(
            dressed,
            stranger,
            outfit,
            posed,
            points,
            np.array([0.0, 0.0, -1.0]),
            (camera.light, 0.6, 0.5),
            size,
        )
        left = rng.integers(wall.shape[1] - size[1])
        region = wall[: size[0], left : left + size[1]]
        region *= share[::-1, :, :1]
        region += colour[::-1]
    return dataclasses.replace(camera, wall=wall)


def render(
    options: SyntheticOptions, pid: int, outfit: int, camera: int, number: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Renders one image.

    Args:
      options: the dataset's options.
      pid: number of the person, from 1.
      outfit: number of the outfit, from 1.
      camera: number of the camera, from 1.
      number: number of the image among those of the same three, from 1.

    Returns:
      uint8 [h, w, 3] RGB, uint8 [h, w] canonical labels, and the JPEG quality.
    """
    rng = options.rng(IMAGE, pid, outfit, camera, number)
    viewer = _camera(options, camera)
    identity, worn, dressed = _dressed(options, pid, outfit)
    # Most people pass a camera along one line, either way; some go anywhere.
    way = rng.choice((0.0, np.pi)) + rng.normal(0, 0.45)
    yaw = rng.uniform(-np.pi, np.pi) if rng.random() < 0.3 else viewer.yaw + way
    posed = pose_figure(dressed, identity, yaw, rng, options.poses)

    size = (options.height, options.width)
    view = look_at_person(viewer, posed[dressed.boxed], size, rng)
    image = draw_background(viewer, view, *size, rng)
    colour, share = draw_figure(
        dressed,
        identity,
        worn,
        posed,
        view.project(posed),
        view.axes[2],
        (viewer.light, viewer.ambient, viewer.key),
        size,
    )
    image = image * share[..., :1] + colour
    # The label that covers most of the pixel; on a tie, a part wins over background.
    share[..., 0] -= 1e-3
    label = share.argmax(-1).astype(np.uint8)
    if rng.random() < _OCCLUDED:
        draw_occluder(image, label, rng)
    image, quality = expose(image, viewer, rng)
    return image, label, quality
