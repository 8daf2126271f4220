"""Draws what is behind the person, and what hides parts of them."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from mbnet_jax.synthetic.cameras.camera import Camera, View
from mbnet_jax.synthetic.scenes.occluders import draw_thing
from mbnet_jax.synthetic.scenes.scene import Scene, draw_scene
from mbnet_jax.synthetic.textures import (
    FLOOR_METRES,
    TEXELS,
    WALL_HEIGHT,
    WALL_METRES,
    bright_colour,
)

# Occluders of one colour.
PLAIN = ("box", "pole", "side", "rail")


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What surrounds the people at one camera.

    Attributes:
      scene: the picture of a scene; None: the camera's wall and floor.
      strangers: figures as in `scene.draw_scene`.
    """

    scene: Scene | None
    strangers: Sequence[np.ndarray]


def draw_background(
    camera: Camera,
    surroundings: Surroundings,
    view: View,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws what is behind the person, with their shadow; float32 [*size, 3]."""
    scene, strangers = surroundings.scene, surroundings.strangers
    if scene is None:
        return _draw_wall(camera, view, *size, rng)
    return draw_scene(scene, strangers, camera, view, size, rng)


def _draw_wall(
    camera: Camera, view: View, height: int, width: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws the wall, and the floor with the person's shadow; float32 [h, w, 3]."""
    ray = view.rays(height, width)
    eye = view.position
    s, c = np.sin(camera.wall_angle), np.cos(camera.wall_angle)
    foot = np.array([0.0, 0.0, -camera.wall_distance * rng.uniform(0.7, 1.3)])
    normal, along = np.array([s, 0, c]), np.array([c, 0, -s])
    far = ((foot - eye) @ normal) / np.minimum(ray @ normal, -1e-3)
    hit = eye + ray * far[..., None]
    on_wall = hit[..., 1] > 0

    offset = rng.uniform(0, WALL_METRES)
    wall = _sample(
        camera.wall,
        (hit @ along + offset) % WALL_METRES,
        np.clip(hit[..., 1], 0, WALL_HEIGHT - 0.1),
    )
    near = -eye[1] / np.minimum(ray[..., 1], -1e-3)
    ground = eye + ray * near[..., None]
    x, z = ground[..., 0], ground[..., 2]
    shift = rng.uniform(0, FLOOR_METRES, 2)
    floor = _sample(
        camera.floor, (x + shift[0]) % FLOOR_METRES, (z + shift[1]) % FLOOR_METRES
    )
    reach = camera.light[[0, 2]] * 0.25 * camera.key
    shadow = np.exp(-(((x + reach[0]) / 0.32) ** 2) - ((z + reach[1]) / 0.3) ** 2)
    floor = floor * np.float32(1 - 0.6 * shadow)[..., None]
    return np.where(on_wall[..., None], wall, floor) * np.float32(
        camera.ambient + 0.6 * camera.key
    )


def _sample(texture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Reads a texture, float32 or (255 is 1) uint8, at metres [h, w]; float32."""
    maps = np.float32(x * TEXELS), np.float32(y * TEXELS)
    read = cv2.remap(texture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return read if texture.dtype == np.float32 else read / np.float32(255)


def draw_occluder(
    image: np.ndarray,
    label: np.ndarray,
    kinds: Sequence[str],
    surroundings: Surroundings,
    light: float,
    rng: np.random.Generator,
) -> None:
    """Draws an object in front of the person, in place.

    Args:
      image: float32 [h, w, 3].
      label: uint8 [h, w], set to background where the object is.
      kinds: names in `kinds.OCCLUDERS`, of which one is drawn.
      surroundings: the camera's, for its strangers.
      light: how bright a white object is; the plain kinds do not depend on it.
      rng: the image's random stream.
    """
    height, width = label.shape
    what = rng.choice(kinds)
    if what not in PLAIN:
        draw_thing(what, surroundings.strangers, image, label, light, rng)
        return
    colour = np.float32(bright_colour(rng))
    row, column = np.indices(label.shape)
    if what == "box":
        left, right = np.sort(rng.uniform(-0.2, 1.2, 2)) * width
        right = max(right, left + 0.4 * width)
        top = height * rng.uniform(0.68, 0.88)
        hidden = (row > top) & (column > left) & (column < right)
    elif what == "pole":
        left = rng.uniform(0.1, 0.85) * width
        hidden = (column > left) & (column < left + width * rng.uniform(0.06, 0.14))
    elif what == "side":
        share = width * rng.uniform(0.12, 0.3)
        hidden = column < share if rng.random() < 0.5 else column > width - share
    else:
        top, gap = height * rng.uniform(0.55, 0.7), height * 0.09
        bar = (row > top) & ((row - top) % gap < 0.25 * gap)
        hidden = bar | ((row > top) & (column % (0.5 * width) < 0.05 * width))
    shade = 0.8 + 0.3 * (column / width) + 0.05 * np.sin(row * 40 / height)
    image[hidden] = (colour * np.float32(shade)[..., None])[hidden]
    label[hidden] = 0
