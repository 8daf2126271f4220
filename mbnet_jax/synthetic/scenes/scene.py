"""Scenes: what one camera sees around the people who walk past it.

A scene is painted once per camera, in perspective, as seen from the camera's height.
Each image shows the part of it that is behind the person, who is somewhere from left
to right on the free floor.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from mbnet_jax.synthetic.cameras.camera import Camera, View
from mbnet_jax.synthetic.scenes import indoor, nature, public, town
from mbnet_jax.synthetic.scenes.canvas import Canvas
from mbnet_jax.synthetic.scenes.props import composite

# All of `kinds.SCENES` but "boxes".
PAINTERS = {
    "street": town.street,
    "vegetation": nature.vegetation,
    "hall": indoor.hall,
    "crowd": town.crowd,
    "shop": public.shop,
    "corridor": indoor.corridor,
    "snow": nature.snow,
    "stairs": indoor.stairs,
    "platform": public.platform,
    "car_park": town.car_park,
    "glass": public.glass,
    "beach": nature.beach,
    "yard": town.yard,
    "office": indoor.office,
}


_OUTDOORS = ("street", "vegetation", "crowd", "snow", "car_park", "beach", "yard")


@dataclasses.dataclass(frozen=True)
class Scene:
    """A camera's picture of its surroundings.

    Attributes:
      picture: uint8 [rows, columns, 3], RGB; see `canvas`.
      height: metres of the camera above the floor.
      free: metres from the camera up to which there is nothing but floor.
      half: metres from the middle to either side, between which people walk.
      density: pixels per unit of the plane at depth 1.
      left, top: the plane's coordinates of the picture's first corner.
      sun: whether people cast long shadows.
      busy: strangers who pass behind a person, on average.
    """

    picture: np.ndarray
    height: float
    free: float
    half: float
    density: float
    left: float
    top: float
    sun: bool
    busy: float


def make_scene(
    kind: str,
    camera: Camera,
    strangers: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> Scene:
    """Paints the scene of a camera.

    Args:
      kind: a key of PAINTERS.
      camera: the camera.
      strangers: as in `draw_scene`, those in the picture.
      rng: the scene's own random stream.
    """
    canvas = Canvas(camera.height, camera.distance, rng)
    PAINTERS[kind](canvas, rng, [s.astype(np.float32) / 255 for s in strangers])
    picture = canvas.finish(rng, rng.uniform(0.03, 0.12))
    return Scene(
        picture,
        canvas.height,
        canvas.free,
        canvas.half,
        canvas.density,
        canvas.left,
        canvas.top,
        sun=kind in _OUTDOORS and rng.random() < 0.6,
        busy=rng.choice((0.0, 0.3, 1.0)),
    )


def draw_scene(
    scene: Scene,
    strangers: Sequence[np.ndarray],
    camera: Camera,
    view: View,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws what is behind the person, with their shadow; float32 [h, w, 3].

    Args:
      scene: the camera's scene.
      strangers: uint8 [134, 77, 4], figures in 1.2 by 2.1 metres, RGB premultiplied
        with alpha, and alpha.
      camera: the camera, for its light.
      view: the view of the person, who stands at the origin.
      size: rows and columns of the image.
      rng: the image's random stream.
    """
    ray = view.rays(*size)
    eye = view.position
    distance = float(np.hypot(eye[0], eye[2]))
    ahead = np.array([-eye[0], 0, -eye[2]]) / distance
    aside = np.array([-ahead[2], 0, ahead[0]])
    depth = np.maximum(ray @ ahead, 1e-3)
    u, v = ray @ aside / depth, ray[..., 1] / depth
    reach = max(min(-scene.left * distance - 0.7, scene.half - 0.5), 0)
    place = rng.uniform(-reach, reach)  # metres right of the picture's middle
    # The floor stays level where this image is taken from another height.
    v = np.where(v < 0, v * (scene.height / eye[1]), v)
    column = (u + place / distance - scene.left) * scene.density
    row = (scene.top - v) * scene.density
    picture, step = scene.picture, np.abs(np.diff(row[:, size[1] // 2])).mean()
    if step > 1.4:  # pixels of the picture per pixel of the image
        picture, column, row = cv2.pyrDown(picture), column / 2, row / 2
    image = cv2.remap(
        picture,
        np.float32(column - 0.5),
        np.float32(row - 0.5),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(np.float32)
    image /= 255
    along = eye[1] / np.maximum(-ray[..., 1], 1e-3)
    x, z = eye[0] + ray[..., 0] * along, eye[2] + ray[..., 2] * along
    image *= 1 - shadow(camera, x, z, sun=scene.sun)[..., None]
    far = scene.free - distance - 0.2
    for _ in range(rng.poisson(scene.busy) if len(strangers) else 0):
        figure = strangers[rng.integers(len(strangers))]
        behind = rng.uniform(0.7, max(far, 1.0))
        wide = max(scene.half - 0.4, 0.0)
        where = np.clip(place + rng.normal(0, 0.8), -wide, wide) - place
        at = where * aside + behind * ahead
        dark = 0.5 * _blob(x - at[0], z - at[2], 0.3, 0.3)
        image *= np.float32(1 - dark)[..., None]
        _put(image, view, figure, at, aside)
    lean = rng.normal(0, 0.06, 2)
    light = 1 + lean[0] * np.linspace(-1, 1, size[1])
    light = light + lean[1] * np.linspace(-1, 1, size[0])[:, None]
    light *= camera.ambient + 0.6 * camera.key
    return image * np.float32(light)[..., None]


def shadow(camera: Camera, x: np.ndarray, z: np.ndarray, *, sun: bool) -> np.ndarray:
    """The share of light that a person at the origin takes from points of the floor.

    Args:
      camera: the camera, for its light.
      x, z: metres.
      sun: whether the key light casts the shadow of the whole body.

    Returns:
      float32, as x, in 0..1.
    """
    share = 1 - (1 - 0.4 * _blob(x, z, 0.2, 0.15)) * (1 - 0.4 * _blob(x, z, 0.4, 0.35))
    if sun:
        slope = -camera.light[[0, 2]] / max(camera.light[1], 0.3)
        steep = max(float(np.hypot(*slope)), 1e-3)
        along = (x * slope[0] + z * slope[1]) / steep
        across = np.abs(x * slope[1] - z * slope[0]) / steep
        inside = np.clip((0.26 - across) / 0.12, 0, 1) * np.clip(along / 0.1 + 1, 0, 1)
        inside *= np.clip((1.75 * steep - along) / 0.25, 0, 1)
        strength = 0.75 * camera.key / (camera.key + camera.ambient)
        share = 1 - (1 - share) * (1 - strength * inside)
    return np.float32(share)


def _blob(x: np.ndarray, z: np.ndarray, wide: float, deep: float) -> np.ndarray:
    return np.exp(-((x / wide) ** 2) - (z / deep) ** 2)


def _put(
    image: np.ndarray, view: View, figure: np.ndarray, at: np.ndarray, aside: np.ndarray
) -> None:
    """Draws a figure that stands at a point of the floor, in place."""
    height, width = figure.shape[:2]
    up = np.array([0.0, 2.1, 0.0])
    corners = [at - 0.6 * aside + up, at + 0.6 * aside + up, at - 0.6 * aside]
    target = np.float32(view.project(np.array(corners))[:, :2]) - 0.5
    source = np.float32([(0, 0), (width, 0), (0, height)]) - 0.5
    matrix = cv2.getAffineTransform(source, target)
    part = cv2.warpAffine(figure, matrix, image.shape[1::-1]).astype(np.float32)
    part = cv2.GaussianBlur(part, (0, 0), 0.5 * len(image) / 128) / 255
    composite(image, part)
