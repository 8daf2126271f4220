"""A z-buffer for small triangles, in NumPy.

All pixels of all triangles' bounding boxes are tested in one go; a key of depth
and candidate number, kept by its minimum per pixel, is the z-buffer.
"""

import dataclasses

import numpy as np


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
        """Values at vertices [V, c] to values at fragments [n, c]."""
        return np.einsum("nk,nkc->nc", self.weights, values[faces[self.face]])


def rasterize(
    points: np.ndarray, faces: np.ndarray, width: int, height: int, two_sided
) -> Fragments:
    """Find what is seen at each pixel's centre.

    Args:
      points: float [V, 3]: column and row in pixels (the centre of the first pixel
        is 0.5, 0.5), and depth, which must be positive in front of the camera.
      faces: int [F, 3], anticlockwise from outside in a y-up world.
      width: columns of the image.
      height: rows of the image.
      two_sided: bool [F], False where a triangle seen from behind is left out.
    """
    corners = points[faces].astype(np.float32)  # [F, 3, 3]
    x, y, depth = corners[..., 0], corners[..., 1], corners[..., 2]
    # NumPy's reductions are slow along an axis of three.
    left, right = (f(f(x[:, 0], x[:, 1]), x[:, 2]) for f in (np.minimum, np.maximum))
    upper, lower = (f(f(y[:, 0], y[:, 1]), y[:, 2]) for f in (np.minimum, np.maximum))
    nearest = np.minimum(np.minimum(depth[:, 0], depth[:, 1]), depth[:, 2])
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (
        y[:, 1] - y[:, 0]
    )
    # Rows grow downwards, so a triangle that faces the camera has negative area.
    first_column = np.maximum(np.ceil(left - 0.5), 0).astype(np.int64)
    first_row = np.maximum(np.ceil(upper - 0.5), 0).astype(np.int64)
    columns = np.minimum(np.floor(right - 0.5), width - 1).astype(np.int64)
    columns = columns - first_column + 1
    rows = np.minimum(np.floor(lower - 0.5), height - 1).astype(np.int64)
    rows = rows - first_row + 1
    drawn = (
        (columns > 0)
        & (rows > 0)
        & (np.abs(area) > 1e-9)
        & ((area < 0) | two_sided)
        & (nearest > 0)
    )
    drawn = np.flatnonzero(drawn)
    if not len(drawn):
        empty = np.zeros(0, np.int64)
        return Fragments(empty, empty, np.zeros((0, 3), np.float32))

    # Weight k of a point is linear in it: a_k * column + b_k * row + c_k.
    x, y, depth, area = x[drawn], y[drawn], depth[drawn], area[drawn, None]
    following, last = [1, 2, 0], [2, 0, 1]
    a = (y[:, following] - y[:, last]) / area
    b = (x[:, last] - x[:, following]) / area
    c = (x[:, following] * y[:, last] - x[:, last] * y[:, following]) / area

    columns, rows = columns[drawn], rows[drawn]
    sizes = columns * rows
    starts = np.cumsum(sizes) - sizes
    which = np.repeat(np.arange(len(drawn)), sizes)
    local = np.arange(sizes.sum()) - starts[which]
    row, column = np.divmod(local, columns[which])
    row += first_row[drawn][which]
    column += first_column[drawn][which]
    at_x, at_y = (column + 0.5).astype(np.float32), (row + 0.5).astype(np.float32)
    w0 = a[which, 0] * at_x + b[which, 0] * at_y + c[which, 0]
    w1 = a[which, 1] * at_x + b[which, 1] * at_y + c[which, 1]
    w2 = 1 - w0 - w1
    inside = np.flatnonzero((w0 >= 0) & (w1 >= 0) & (w2 >= 0))
    which, pixel = which[inside], (row * width + column)[inside]
    weights = np.stack([w0[inside], w1[inside], w2[inside]], axis=1)

    z = np.einsum("nk,nk->n", weights, depth[which])
    low, high = z.min(initial=np.inf), z.max(initial=0)
    steps = ((z - low) / max(high - low, 1e-6) * (2**30)).astype(np.int64)
    key = (steps << 32) | np.arange(len(inside))
    buffer = np.full(width * height, np.iinfo(np.int64).max)
    np.minimum.at(buffer, pixel, key)
    seen = np.flatnonzero(buffer != np.iinfo(np.int64).max)
    winner = buffer[seen] & 0xFFFFFFFF
    return Fragments(seen, drawn[which[winner]], weights[winner])


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals at the vertices, weighted by area; float32 [V, 3]."""
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
