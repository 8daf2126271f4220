"""Renders one image of a person in an outfit at a camera, and its parsing map."""

import dataclasses
import functools

import numpy as np

from mbnet_jax.synthetic.cameras.camera import (
    Camera,
    expose,
    look_at_person,
    make_camera,
)
from mbnet_jax.synthetic.clothes.accessories import accessorize
from mbnet_jax.synthetic.clothes.wardrobe import (
    Outfit,
    Wardrobe,
    make_wardrobe,
    random_outfits,
    sample_outfits,
)
from mbnet_jax.synthetic.options import IMAGE, PASSERSBY, SCENE, SyntheticOptions
from mbnet_jax.synthetic.people.body import load_body
from mbnet_jax.synthetic.people.dressing import Dressed, dress
from mbnet_jax.synthetic.people.figure import draw_figure, pose_figure
from mbnet_jax.synthetic.people.identity import (
    Identity,
    random_identity,
    sample_identity,
)
from mbnet_jax.synthetic.scenes.background import (
    TEXELS,
    Surroundings,
    draw_background,
    draw_occluder,
)
from mbnet_jax.synthetic.scenes.scene import make_scene

CAMERAS_KEPT = 192  # with their surroundings, 1.4 MB each; one is 0.1 s of work
_PASSERSBY = 6  # in front of the wall of each camera
_STRANGERS = 4  # in each scene
_CROWD = 6


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


@functools.lru_cache(maxsize=CAMERAS_KEPT)
def _camera(options: SyntheticOptions, number: int) -> tuple[Camera, Surroundings]:
    """Returns a camera and its surroundings, with strangers in them."""
    camera = make_camera(options, number)
    rng = options.rng(SCENE, number)
    kind = str(rng.choice(options.backgrounds))
    if kind == "boxes":
        wall, floor = _populated(options, camera, number), camera.floor
        if options.camera_pool or options.test_camera_pool:  # many: a quarter of memory
            wall, floor = _bytes(wall), _bytes(floor)
        camera = dataclasses.replace(camera, wall=wall, floor=floor)
        few = _STRANGERS if "person" in options.occluders else 0
        figures = _strangers(options, camera, few, rng)
        return camera, Surroundings(None, figures)
    nothing = np.zeros((0, 0, 3), np.float32)
    camera = dataclasses.replace(camera, wall=nothing, floor=nothing)
    count = _CROWD if kind == "crowd" else _STRANGERS
    figures = _strangers(options, camera, count, rng)
    return camera, Surroundings(make_scene(kind, camera, figures, rng), figures)


def _strangers(
    options: SyntheticOptions, camera: Camera, count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draws figures as `scene.draw_scene` describes them."""
    figures = []
    for _ in range(count):
        colour, share = _stranger(options, camera, rng)
        figure = np.dstack([colour, 1 - share[..., 0]])
        figures.append(_bytes(figure))
    return figures


def _bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _populated(options: SyntheticOptions, camera: Camera, number: int) -> np.ndarray:
    """Draws strangers in front of a camera's wall; float32, as `Camera.wall`."""
    wall = camera.wall.copy()
    rng = options.rng(PASSERSBY, number)
    for _ in range(_PASSERSBY):
        colour, share = _stranger(options, camera, rng)
        height, width = colour.shape[:2]
        left = rng.integers(wall.shape[1] - width)
        # The wall's rows grow upwards.
        region = wall[:height, left : left + width]
        region *= share[::-1, :, :1]
        region += colour[::-1]
    return wall


def _stranger(
    options: SyntheticOptions, camera: Camera, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a random person from the front, orthographically (see `draw_figure`)."""
    size = (int(2.1 * TEXELS), int(1.2 * TEXELS))
    stranger = random_identity(rng)
    outfit = random_outfits(rng, _wardrobe(options), stranger.female, 1)
    outfit = accessorize(rng, outfit, stranger.female, options)[0]
    dressed = dress(load_body(), stranger, outfit)
    yaw = rng.uniform(-np.pi, np.pi)
    posed = pose_figure(dressed, stranger, yaw, rng, options.poses)
    points = posed * (TEXELS, -TEXELS, -1) + (size[1] / 2, size[0], 10)
    return draw_figure(
        dressed,
        stranger,
        outfit,
        posed,
        points,
        np.array([0.0, 0.0, -1.0]),
        (camera.light, 0.6, 0.5),
        size,
    )


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
    viewer, surroundings = _camera(options, camera)
    identity, worn, dressed = _dressed(options, pid, outfit)
    # Most people pass a camera along one line, either way; some go anywhere.
    way = rng.choice((0.0, np.pi)) + rng.normal(0, 0.45)
    yaw = rng.uniform(-np.pi, np.pi) if rng.random() < 0.3 else viewer.yaw + way
    posed = pose_figure(dressed, identity, yaw, rng, options.poses)

    size = (options.height, options.width)
    boxed = posed[dressed.boxed]
    view = look_at_person(viewer, boxed, size, rng, options.box_errors)
    image = draw_background(viewer, surroundings, view, size, rng)
    colour, share = draw_figure(
        dressed,
        identity,
        worn,
        posed,
        view.project(posed),
        view.towards,
        viewer.on_person,
        size,
    )
    image = image * share[..., :1] + colour
    # The label that covers most of the pixel; on a tie, a part wins over background.
    share[..., 0] -= 1e-3
    label = share.argmax(-1).astype(np.uint8)
    if rng.random() < options.occluded:
        light = viewer.ambient + 0.6 * viewer.key
        draw_occluder(image, label, options.occluders, surroundings, light, rng)
    image, quality = expose(image, viewer, rng)
    return image, label, quality
