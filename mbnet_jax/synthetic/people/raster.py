"""A z-buffer for small triangles, in NumPy.

All pixels of all triangles' bounding boxes are tested at once. The z-buffer holds
each pixel's minimum of a key that is made of depth and candidate index.
"""

import dataclasses

import numpy as np

_SLACK = 1e-4  # of a barycentric weight


@dataclasses.dataclass(frozen=True)
class Fragments:
    """The nearest triangle at each covered pixel.

    Attributes:
      pixel: int64 [n], flat index (row * width + column), sorted.
      face: int64 [n], index of the triangle.
      weights: float32 [n, 3], barycentric weights of its corners.
    """

    pixel: np.ndarray
    face: np.ndarray
    weights: np.ndarray

    def interpolate(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Interpolates values at vertices [V, c] to the fragments, [n, c]."""
        return np.einsum("nk,nkc->nc", self.weights, values[faces[self.face]])


def rasterize(
    points: np.ndarray,
    faces: np.ndarray,
    width: int,
    height: int,
    two_sided: np.ndarray,
) -> Fragments:
    """Returns the nearest triangle at each pixel's centre.

    Args:
      points: float [V, 3]: column and row in pixels (the centre of the first pixel
        is 0.5, 0.5), and depth, which must be positive in front of the camera.
      faces: int [F, 3], anticlockwise from outside in a y-up world.
      width: width of the image in pixels.
      height: height of the image in pixels.
      two_sided: bool [F]; other triangles are culled when seen from behind.
    """
    corners = points[faces].astype(np.float32)  # [F, 3, 3]
    edge = corners[:, 1:, :2] - corners[:, :1, :2]  # from the first corner
    area = edge[:, 0, 0] * edge[:, 1, 1] - edge[:, 1, 0] * edge[:, 0, 1]
    # Rows grow downwards, so a triangle that faces the camera has negative area.
    drawn = ((area < 0) | two_sided) & (np.abs(area) > 1e-9)
    drawn = np.flatnonzero(drawn & (corners[:, :, 2] > 0).all(1))
    corners, edge, area = corners[drawn], edge[drawn], area[drawn]
    first, count = _boxes(corners[:, :, :2], width, height)

    # The weights of the second and third corner are linear in the pixel's offset
    # from the first.
    right, down = edge[:, :, 0] / area[:, None], edge[:, :, 1] / area[:, None]
    x0, y0 = corners[:, 0, 0] - first[:, 0], corners[:, 0, 1] - first[:, 1]
    sizes = count[:, 0] * count[:, 1]
    which = np.repeat(np.arange(len(drawn)), sizes)
    local = np.arange(len(which)) - (np.cumsum(sizes) - sizes)[which]
    row, column = np.divmod(local, count[:, 0][which])
    x = column.astype(np.float32) + (0.5 - x0)[which]
    y = row.astype(np.float32) + (0.5 - y0)[which]
    w1 = x * down[:, 1][which] - y * right[:, 1][which]
    w2 = y * right[:, 0][which] - x * down[:, 0][which]
    w0 = 1 - w1 - w2
    # Rounding must not leave a gap between neighbours.
    inside = np.flatnonzero((w0 >= -_SLACK) & (w1 >= -_SLACK) & (w2 >= -_SLACK))
    if not len(inside):
        empty = np.zeros(0, np.int64)
        return Fragments(empty, empty, np.zeros((0, 3), np.float32))

    which = which[inside]
    pixel = (row[inside] + first[:, 1][which]) * width
    pixel += column[inside] + first[:, 0][which]
    weights = np.stack([w0[inside], w1[inside], w2[inside]], axis=1)
    z = np.einsum("nk,nk->n", weights, corners[:, :, 2][which])
    low, high = z.min(), z.max()
    steps = ((z - low) / max(high - low, 1e-6) * (2**30)).astype(np.int64)
    key = (steps << 32) | np.arange(len(inside))
    buffer = np.full(width * height, np.iinfo(np.int64).max)
    np.minimum.at(buffer, pixel, key)
    seen = np.flatnonzero(buffer != np.iinfo(np.int64).max)
    winner = buffer[seen] & 0xFFFFFFFF
    return Fragments(seen, drawn[which[winner]], weights[winner])


def _boxes(
    corners: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bounding boxes of triangles [F, 3, 2], in pixel centres.

    Returns:
      int64 [F, 2], first column and row; int64 [F, 2], numbers of columns and rows.
    """
    # NumPy's reductions are slow along an axis of three.
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    low = np.minimum(np.minimum(a, b), c)
    high = np.maximum(np.maximum(a, b), c)
    first = np.maximum(np.ceil(low - 0.5), 0).astype(np.int64)
    last = np.minimum(np.floor(high - 0.5), (width - 1, height - 1)).astype(np.int64)
    count = np.maximum(last - first + 1, 0)
    return first, count


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Returns unit normals at the vertices, weighted by area; float32 [V, 3]."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    total = np.empty_like(vertices)
    flat = faces.ravel()
    for axis in range(3):
        total[:, axis] = np.bincount(
            flat, np.repeat(normal[:, axis], 3), minlength=len(vertices)
        )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return (total / np.maximum(length, 1e-12)).astype(np.float32)
