"""Scenes: what one camera sees around the people who walk past it.

A scene is painted once per camera, in perspective, as seen from the camera's height.
Each image shows the part of it that is behind the person, who is somewhere from left
to right on the free floor.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from mbnet_jax.synthetic import scene_indoor, scene_nature, scene_public, scene_town
from mbnet_jax.synthetic.camera import Camera, View
from mbnet_jax.synthetic.canvas import Canvas

# All of `kinds.SCENES` but "boxes".
PAINTERS = {
    "street": scene_town.street,
    "vegetation": scene_nature.vegetation,
    "hall": scene_indoor.hall,
    "crowd": scene_town.crowd,
    "shop": scene_public.shop,
    "corridor": scene_indoor.corridor,
    "snow": scene_nature.snow,
    "stairs": scene_indoor.stairs,
    "platform": scene_public.platform,
    "car_park": scene_town.car_park,
    "glass": scene_public.glass,
    "beach": scene_nature.beach,
    "yard": scene_town.yard,
    "office": scene_indoor.office,
}


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
      busy: strangers who pass behind a person, on average.
    """

    picture: np.ndarray
    height: float
    free: float
    half: float
    density: float
    left: float
    top: float
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
    image *= 1 - shadow(camera, x, z)[..., None]
    far = scene.free - distance - 0.2
    for _ in range(rng.poisson(scene.busy) if len(strangers) else 0):
        figure = strangers[rng.integers(len(strangers))]
        behind = rng.uniform(0.7, max(far, 1.0))
        wide = max(scene.half - 0.4, 0.0)
        where = np.clip(place + rng.normal(0, 0.8), -wide, wide) - place
        _put(image, view, figure, where * aside + behind * ahead, aside)
    lean = rng.normal(0, 0.06, 2)
    light = 1 + lean[0] * np.linspace(-1, 1, size[1])
    light = light + lean[1] * np.linspace(-1, 1, size[0])[:, None]
    light *= camera.ambient + 0.6 * camera.key
    return image * np.float32(light)[..., None]


def shadow(camera: Camera, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The share of light that a person at the origin takes from the floor; float32."""
    reach = camera.light[[0, 2]] * 0.25 * camera.key
    cast = np.exp(-(((x + reach[0]) / 0.32) ** 2) - ((z + reach[1]) / 0.3) ** 2)
    contact = np.exp(-((x / 0.2) ** 2) - (z / 0.15) ** 2)
    return np.float32(1 - (1 - 0.45 * cast) * (1 - 0.4 * contact))


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
    image *= 1 - part[..., 3:]
    image += part[..., :3]
