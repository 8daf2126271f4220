"""Cameras: position, light, and the imperfections of their images."""

import dataclasses

import cv2
import numpy as np

from mbnet_jax.synthetic.cameras.boxes import misplaced
from mbnet_jax.synthetic.cameras.kinds import Kind, make_kind
from mbnet_jax.synthetic.cameras.sensor import capture
from mbnet_jax.synthetic.options import CAMERA, SyntheticOptions
from mbnet_jax.synthetic.textures import make_floor, make_wall

_MIDDLE = np.array([0.0, 0.9, 0.0])  # of a person, metres


@dataclasses.dataclass(frozen=True)
class Camera:
    """One camera of a dataset; in the world y is up, the camera looks towards -z.

    Attributes:
      height: metres above the floor.
      distance: metres from the person (lowest, highest).
      yaw: direction in which most people walk, radians; 0 is towards the camera.
      light: float64 [3], unit vector towards the key light.
      ambient, key: strengths of the two lights.
      cast: float64 [3], gain of red, green and blue.
      contrast: exponent of the tone curve.
      blur: standard deviation in pixels of an image 128 pixels high.
      noise: standard deviation, for values in 0..1.
      resolution: rows that the sensor has for a person, as a share of 128.
      jpeg: lowest JPEG quality.
      wall_distance, wall_angle: metres behind the person; radians.
      floor, wall: float32 textures in 0..1 RGB, 64 texels per metre.
      kind: of a varied camera; it replaces cast, contrast, blur, noise, resolution and
        jpeg.
    """

    height: float
    distance: tuple[float, float]
    yaw: float
    light: np.ndarray
    ambient: float
    key: float
    cast: np.ndarray
    contrast: float
    blur: float
    noise: float
    resolution: float
    jpeg: int
    wall_distance: float
    wall_angle: float
    floor: np.ndarray
    wall: np.ndarray
    kind: Kind | None = None

    @property
    def on_person(self) -> tuple[np.ndarray, float, float]:
        """Direction of the key light, and both lights' strengths, for the person."""
        share = self.kind.on_person if self.kind else 1.0
        return self.light, self.ambient * share, self.key * share


def make_camera(options: SyntheticOptions, number: int) -> Camera:
    """Returns camera `number` (from 1) of a dataset."""
    rng = options.rng(CAMERA, number)
    light = np.array([rng.uniform(-1, 1), rng.uniform(0.6, 1.6), rng.uniform(-0.3, 1)])
    nearest = rng.uniform(4.0, 8.0)
    ambient = rng.uniform(0.65, 0.9)
    warmth = rng.normal(0, 0.06)
    camera = Camera(
        height=rng.uniform(1.8, 3.8),
        distance=(nearest, nearest * 1.5),
        yaw=rng.uniform(-np.pi, np.pi),
        light=light / np.linalg.norm(light),
        ambient=ambient,
        key=rng.uniform(1.3, 1.5) - ambient,
        cast=np.exp(np.array([warmth, rng.normal(0, 0.03), -warmth])),
        contrast=rng.uniform(0.88, 1.15),
        blur=rng.uniform(0.2, 0.7),
        noise=rng.uniform(0.008, 0.025),
        resolution=rng.uniform(0.7, 1.0),
        jpeg=int(rng.integers(60, 85)),
        wall_distance=rng.uniform(1.5, 6.0),
        wall_angle=rng.uniform(-0.5, 0.5),
        floor=make_floor(rng),
        wall=make_wall(rng),
    )
    if options.camera_kinds == "plain":
        return camera
    kind = make_kind(options, number)
    same = ("height", "distance", "light", "ambient", "key")
    changes = {name: getattr(kind, name) for name in same}
    return dataclasses.replace(camera, kind=kind, **changes)


@dataclasses.dataclass(frozen=True)
class View:
    """A camera's cropped view: projects points to pixels, and pixels to rays.

    Attributes:
      position: float64 [3] of the camera.
      axes: float64 [3, 3]; the rows are right, up, forward.
      corner, scale: float64 [2]; pixel = (bent((x / z, -y / z)) - corner) * scale.
      bend: radial distortion k, bent(p) = p (1 + k |p|^2).
    """

    position: np.ndarray
    axes: np.ndarray
    corner: np.ndarray
    scale: np.ndarray
    bend: float = 0.0

    def project(self, points: np.ndarray) -> np.ndarray:
        """Projects points [n, 3] to column, row and depth in metres, [n, 3]."""
        x, y, depth = ((points - self.position) @ self.axes.T).T
        plane = np.stack([x / depth, -y / depth], axis=1)
        if self.bend:
            plane *= 1 + self.bend * (plane**2).sum(1, keepdims=True)
        return np.column_stack([(plane - self.corner) * self.scale, depth])

    def rays(self, height: int, width: int) -> np.ndarray:
        """Returns the directions [height, width, 3] through the pixels' centres."""
        u = (np.arange(width) + 0.5) / self.scale[0] + self.corner[0]
        v = (np.arange(height) + 0.5) / self.scale[1] + self.corner[1]
        u, v = u[None, :, None], v[:, None, None]
        if self.bend:
            bent = u**2 + v**2
            straight = bent
            for _ in range(4):  # of the fixed point
                straight = np.minimum(bent / (1 + self.bend * straight) ** 2, 4)
            share = 1 / (1 + self.bend * straight)
            u, v = u * share, v * share
        right, up, forward = self.axes
        return u * right - v * up + forward

    @property
    def towards(self) -> np.ndarray:
        """The unit vector from the camera to the middle of the person, float64 [3]."""
        return _unit(_MIDDLE - self.position)


def look_at_person(
    camera: Camera,
    points: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    box_errors: float = 0.0,
) -> View:
    """Positions the camera, and crops the person like a detector's jittered box.

    Args:
      camera: the camera.
      points: float [V, 3], vertices of the person, who stands at the origin.
      size: height and width of the crop in pixels.
      rng: the image's random stream.
      box_errors: how far off boxes are, 0 to 1.
    """
    distance = rng.uniform(*camera.distance)
    position = np.array([0.0, camera.height, distance])
    axes, bend = _axes(camera, position, rng)
    plain = View(position, axes, np.zeros(2), np.ones(2), bend)
    plane = plain.project(points)[:, :2]
    low, high = plane.min(0), plane.max(0)
    tall = (high[1] - low[1]) * rng.uniform(1.02, 1.18)
    wide = max(tall * 0.5 * rng.uniform(0.92, 1.08), (high[0] - low[0]) * 1.02)
    extent = np.array([wide, tall])
    centre = (low + high) / 2 + extent * rng.normal(0, 0.025, 2)
    if box_errors:
        centre, extent = misplaced(centre, extent, box_errors, rng.spawn(1)[0])
    scale = np.array([size[1], size[0]]) / extent
    return View(position, axes, centre - extent / 2, scale, bend)


def _axes(
    camera: Camera, position: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Returns right, up and forward, float64 [3, 3], and the radial distortion."""
    if camera.kind is None:  # The person is in the middle of the whole image.
        forward = _unit(_MIDDLE - position)
        right = np.array([1.0, 0.0, 0.0])
        return np.stack([right, np.cross(right, forward), forward]), 0.0
    pitch, roll = camera.kind.pitch, camera.kind.roll
    pan = camera.kind.pan * rng.uniform(-1, 1)
    right = np.array([np.cos(pan), 0.0, np.sin(pan)])
    ahead = np.array([np.sin(pan), 0.0, -np.cos(pan)])
    forward = np.cos(pitch) * ahead - np.array([0.0, np.sin(pitch), 0.0])
    up = np.cross(right, forward)
    level = np.stack([right, up])
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    return np.concatenate([turn @ level, forward[None]]), camera.kind.bend


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def expose(
    image: np.ndarray, camera: Camera, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Applies the sensor's imperfections to an image.

    Args:
      image: float32 [h, w, 3] RGB, 1 is white.
      camera: the camera.
      rng: the image's random stream.

    Returns:
      uint8 [h, w, 3] RGB, and the JPEG quality to store it with.
    """
    if camera.kind is not None:
        return capture(image, camera.kind, rng)
    height, width = image.shape[:2]
    gain = camera.cast * np.exp(rng.normal(0, 0.06) + rng.normal(0, 0.015, 3))
    image = np.clip(image * gain, 0, 1.2) ** camera.contrast
    small = camera.resolution * rng.uniform(0.8, 1.0) * max(1.0, 128 / height)
    if small < 1:
        size = (round(width * small), round(height * small))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    sigma = camera.blur * rng.uniform(0.6, 1.4) * height / 128
    if rng.random() < 0.2:  # Motion blur: sideways as well.
        image = cv2.GaussianBlur(
            image, (0, 0), sigma + 0.9 * height / 128, sigmaY=sigma
        )
    else:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    noise = rng.standard_normal(image.shape, np.float32) * camera.noise
    image = np.clip((image + noise) * 255 + 0.5, 0, 255).astype(np.uint8)
    return image, int(rng.integers(camera.jpeg, 96))
