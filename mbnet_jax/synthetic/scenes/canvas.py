"""The picture that a camera's scene is painted on, in perspective.

The picture lies on a vertical plane at depth 1 in front of the camera. In the scene,
x points right, y up from the floor, z away from the camera, all in metres; a point is
seen at (x / z, (y - height) / z).
"""

import copy
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from mbnet_jax.synthetic import noise
from mbnet_jax.synthetic.scenes.props import composite

PERSON = 1.9  # metres: a person and the margin of the box
TEXELS = 64  # per metre of a ground
_SHARPNESS = 200  # rows of the picture per person at the farthest distance
_PIXELS = 400_000  # at most; with three bytes each


class Canvas:
    """Paints floor, walls and things into a picture, from far to near.

    Attributes:
      image: float32 [rows, columns, 3], RGB in 0..1.
      height: metres of the camera above the floor.
      far: metres, the farthest that the person stands from the camera.
      free: metres; nearer than this, there is nothing but floor.
      half: metres from the middle to either side, between which people walk.
      density: pixels per unit of the plane.
      left, top: the plane's coordinates of the picture's first corner.
    """

    def __init__(
        self,
        height: float,
        distance: tuple[float, float],
        rng: np.random.Generator,
    ):
        """Makes a black picture, from `Camera.height` and `Camera.distance`."""
        near, far = distance
        self.height, self.far = height, far
        self.free = far + rng.choice((0.7, rng.uniform(0.7, 3.0)))
        self.half = np.inf
        self.top = max((2.5 - height) / near, (2.5 - height) / far)
        low = -(height + 0.3) / near
        self.density = min(_SHARPNESS * far / PERSON, 640 / (self.top - low))
        rows = int(np.ceil((self.top - low) * self.density))
        columns = min(_PIXELS // rows, 1100)
        self.left = -columns / self.density / 2
        self.image = np.zeros((rows, columns, 3), np.float32)

    @property
    def edge(self) -> float:
        """How far right the picture shows, per metre of depth."""
        return -self.left

    def project(self, points: Sequence[Sequence[float]]) -> np.ndarray:
        """Returns column and row of points [n, 3] of the scene, float32 [n, 2]."""
        x, y, z = np.asarray(points, np.float64).T
        column = (x / z - self.left) * self.density
        row = (self.top - (y - self.height) / z) * self.density
        return np.stack([column, row], axis=1).astype(np.float32)

    def blank(self) -> "Canvas":
        """Returns an empty picture of the same view."""
        other = copy.copy(self)
        other.image = np.zeros_like(self.image)
        return other

    def where_floor(
        self, other: np.ndarray, inside: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> None:
        """Takes over parts of the floor from another picture.

        Args:
          other: float32, as `image`.
          inside: from x [n, columns] and z [n, 1] of points of the floor, the metres
            from the part's edge, positive inside.
        """
        u, z = self.ground_points()
        share = np.clip(inside(u * z, z) / (2 * z / self.density) + 0.5, 0, 1)
        share = np.broadcast_to(share, (len(z), len(u))).astype(np.float32)[..., None]
        self.image[-len(z) :] += share * (other[-len(z) :] - self.image[-len(z) :])

    def ground_points(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns u [columns], and z [n, 1] of the n rows below the horizon."""
        rows, columns = self.image.shape[:2]
        v = self.top - (np.arange(rows) + 0.5) / self.density
        v = v[v < -1e-3 * self.height]
        u = self.left + (np.arange(columns) + 0.5) / self.density
        return u, (self.height / -v)[:, None]

    def fill(self, high: Sequence[float], low: Sequence[float]) -> None:
        """Fills the picture with a gradient from its top to its bottom."""
        share = np.linspace(0, 1, len(self.image), dtype=np.float32)[:, None, None]
        self.image[:] = np.float32(high) * (1 - share) + np.float32(low) * share

    def floor(self, ground: np.ndarray, shift: Sequence[float] = (0, 0)) -> None:
        """Lays a periodic ground float32 [n, n, 3] below the horizon."""
        u, depths = self.ground_points()
        z, first = depths[:, 0], len(self.image) - len(depths)
        # Pixels cover more of the ground farther away.
        pixel = TEXELS * z * np.sqrt(z / self.height) / self.density
        level = np.clip(np.round(np.log2(np.maximum(pixel, 1))), 0, 5).astype(int)
        for k in np.unique(level):
            at = np.flatnonzero(level == k)
            side = len(ground) >> k
            small = cv2.resize(ground, (side, side), interpolation=cv2.INTER_AREA)
            depth = z[at][:, None]
            x = ((u * depth + shift[0]) * (TEXELS >> k)) % side
            y = np.broadcast_to(((depth + shift[1]) * (TEXELS >> k)) % side, x.shape)
            self.image[first + at[0] : first + at[-1] + 1] = cv2.remap(
                small,
                np.float32(x),
                np.float32(y),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )

    def quad(
        self,
        texture: np.ndarray,
        corners: Sequence[Sequence[float]],
        *,
        opacity: float = 1.0,
    ) -> None:
        """Paints a texture on a flat quadrangle.

        Args:
          texture: float32 [h, w, 3], or [h, w, 4] with premultiplied alpha.
          corners: [4, 3], top left, top right, bottom right, bottom left.
          opacity: of the whole.
        """
        target = self.project(corners)
        low = np.maximum(np.floor(target.min(0)).astype(int) - 1, 0)
        limit = self.image.shape[1::-1]
        high = np.minimum(np.ceil(target.max(0)).astype(int) + 1, limit)
        if (high - low < 1).any():
            return
        if texture.shape[2] == 3:
            texture = np.dstack([texture, np.ones(texture.shape[:2], np.float32)])
        height, width = texture.shape[:2]
        wide = np.linalg.norm(target[1] - target[0])
        tall = max(np.linalg.norm(target[3] - target[0]), 1.0)
        if wide < 0.8 * width or tall < 0.8 * height:
            width = int(np.clip(wide, 1, width))
            height = int(np.clip(tall, 1, height))
            texture = cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA)
        source = np.float32([(0, 0), (width, 0), (width, height), (0, height)]) - 0.5
        matrix = cv2.getPerspectiveTransform(source, target - np.float32(low) - 0.5)
        size = tuple((high - low).tolist())
        part = cv2.warpPerspective(texture, matrix, size) * np.float32(opacity)
        composite(self.image[low[1] : high[1], low[0] : high[0]], part)

    def upright(
        self,
        texture: np.ndarray,
        x: float,
        z: float,
        size: tuple[float, float],
        *,
        y: float = 0.0,
        opacity: float = 1.0,
        mirrored: float = 0.0,
    ) -> None:
        """Paints a texture that faces the camera, its lower edge `y` above the floor.

        Args:
          texture: as in `quad`.
          x: its middle.
          z: its depth.
          size: width and height in metres.
          y: metres.
          opacity: of the whole.
          mirrored: opacity of its reflection in the floor.
        """
        left, right, high = x - size[0] / 2, x + size[0] / 2, y + size[1]
        corners = [(left, high, z), (right, high, z), (right, y, z), (left, y, z)]
        if mirrored:
            below = [(a, -b, c) for a, b, c in corners]
            self.quad(texture, below, opacity=mirrored)
        self.quad(texture, corners, opacity=opacity)

    def side(
        self, texture: np.ndarray, x: float, depths: tuple[float, float], high: float
    ) -> None:
        """Paints a wall along the viewing direction, from depths[0] to depths[1]."""
        near, deep = depths
        corners = [(x, high, near), (x, high, deep), (x, 0, deep), (x, 0, near)]
        self.quad(texture, corners)

    def wall(self, texture: np.ndarray, z: float, high: float, **how: float) -> None:
        """Paints a texture across the whole picture at depth z, from the floor."""
        self.upright(texture, 0.0, z, (2.02 * self.edge * z, high), **how)

    def stripe(
        self,
        ends: tuple[tuple[float, float], tuple[float, float]],
        width: float,
        colour: Sequence[float],
        opacity: float = 0.85,
    ) -> None:
        """Paints a straight stripe on the floor between two points (x, z)."""
        (x0, z0), (x1, z1) = ends
        z0, z1 = max(z0, 1.0), max(z1, 1.0)
        across = np.array([z1 - z0, x0 - x1])
        across *= width / 2 / max(float(np.hypot(*across)), 1e-6)
        corners = [
            (x0 - across[0], 0, z0 - across[1]),
            (x1 - across[0], 0, z1 - across[1]),
            (x1 + across[0], 0, z1 + across[1]),
            (x0 + across[0], 0, z0 + across[1]),
        ]
        plain = np.tile(np.float32(colour), (16, 16, 1))
        self.quad(plain, corners, opacity=opacity)

    def shade(
        self, x: float, z: float, size: tuple[float, float], amount: float
    ) -> None:
        """Darkens (or, below 0, lightens) the floor around a point, softly."""
        wide, deep = size
        nearest = max(z - 2.5 * deep, 0.5)
        low, high = self.project(
            [(x - 2.5 * wide, 0, z + 2.5 * deep), (x + 2.5 * wide, 0, nearest)]
        )
        limit = self.image.shape[1::-1]
        low = np.maximum(np.floor(low).astype(int), 0)
        high = np.minimum(np.ceil(high).astype(int), limit)
        if (high - low < 1).any():
            return
        v = self.top - (np.arange(low[1], high[1]) + 0.5) / self.density
        u = self.left + (np.arange(low[0], high[0]) + 0.5) / self.density
        depth = self.height / np.maximum(-v, 1e-3)[:, None]
        away = ((u * depth - x) / wide) ** 2 + ((depth - z) / deep) ** 2
        soft = np.float32(1 - amount * np.exp(-away))
        self.image[low[1] : high[1], low[0] : high[0]] *= soft[..., None]

    def finish(self, rng: np.random.Generator, uneven: float) -> np.ndarray:
        """Adds uneven light and a soft focus; uint8 [rows, columns, 3]."""
        light = noise.field(rng, self.image.shape[:2], (2, 5))
        self.image *= np.float32(1 + uneven * np.clip(light, -2, 2))[..., None]
        whole = (np.clip(self.image, 0, 1) * 255 + 0.5).astype(np.uint8)
        return cv2.GaussianBlur(whole, (0, 0), rng.uniform(0.6, 1.2))
