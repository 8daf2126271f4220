"""One image of one person in one outfit at one camera, with its parsing map."""

import dataclasses
import functools

import numpy as np

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
_PASSERSBY = 6  # before the wall of each camera


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
    """A camera, with strangers standing and walking along its wall."""
    camera = make_camera(options, number)
    wall = camera.wall.copy()
    rng = options.rng(PASSERSBY, number)
    size = (int(2.1 * TEXELS), int(1.2 * TEXELS))
    for _ in range(_PASSERSBY):
        stranger = random_identity(rng)
        outfit = random_outfits(rng, _wardrobe(options), stranger.female, 1)[0]
        dressed = dress(load_body(), stranger, outfit)
        posed = pose_figure(dressed, stranger, rng.uniform(-np.pi, np.pi), rng)
        # Straight ahead from far away: the wall's rows grow upwards.
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
        place = wall[: size[0], left : left + size[1]]
        place *= share[::-1, :, :1]
        place += colour[::-1]
    return dataclasses.replace(camera, wall=wall)


def render(
    options: SyntheticOptions, pid: int, outfit: int, camera: int, number: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Draw one image.

    Args:
      options: the dataset's.
      pid: the person, from 1.
      outfit: from 1.
      camera: from 1.
      number: which of the cell's images, from 1.

    Returns:
      uint8 [h, w, 3] RGB, uint8 [h, w] canonical labels, and the JPEG quality.
    """
    rng = options.rng(IMAGE, pid, outfit, camera, number)
    eye = _camera(options, camera)
    identity, worn, dressed = _dressed(options, pid, outfit)
    # Most people pass a camera one way or back; some go anywhere.
    way = rng.choice((0.0, np.pi)) + rng.normal(0, 0.45)
    yaw = rng.uniform(-np.pi, np.pi) if rng.random() < 0.3 else eye.yaw + way
    posed = pose_figure(dressed, identity, yaw, rng)

    size = (options.height, options.width)
    view = look_at_person(eye, posed, size, rng)
    image = draw_background(eye, view, *size, rng)
    colour, share = draw_figure(
        dressed,
        identity,
        worn,
        posed,
        view.project(posed),
        view.axes[2],
        (eye.light, eye.ambient, eye.key),
        size,
    )
    image = image * share[..., :1] + colour
    # The label with most of the pixel; of equal ones, a part before background.
    share[..., 0] -= 1e-3
    label = share.argmax(-1).astype(np.uint8)
    if rng.random() < _OCCLUDED:
        draw_occluder(image, label, rng)
    image, quality = expose(image, eye, rng)
    return image, label, quality
