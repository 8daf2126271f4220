"""Meshes of accessories: each is a stack of rings, or a box with rounded edges."""

import numpy as np


def vector(x: float, y: float, z: float) -> np.ndarray:
    """Returns float64 [3]."""
    return np.array([x, y, z], np.float64)


def ring_faces(rings: int, spokes: int) -> np.ndarray:
    """Returns the faces [F, 3] between rings of vertices, anticlockwise outside."""
    i, j = np.divmod(np.arange((rings - 1) * spokes), spokes)
    a, b = i * spokes + j, i * spokes + (j + 1) % spokes
    c, d = a + spokes, b + spokes
    return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


def ellipsoid(
    centre: np.ndarray, radii: np.ndarray, power: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns vertices and faces between an ellipsoid (power 1) and a box (near 0)."""
    rings, spokes = 7, 10
    polar = np.linspace(0, np.pi, rings)[:, None]
    around = np.linspace(0, 2 * np.pi, spokes, endpoint=False)[None]
    unit = np.stack(
        [
            np.sin(polar) * np.sin(around),
            np.cos(polar) * np.ones_like(around),
            np.sin(polar) * np.cos(around),
        ],
        axis=-1,
    )
    shape = np.sign(unit) * np.abs(unit) ** power
    faces = ring_faces(rings, spokes)
    return (centre + shape * radii).reshape(-1, 3).astype(np.float32), faces


def lathe(
    centre: np.ndarray, rings: list[tuple[float, ...]], spokes: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """Returns vertices and faces of horizontal rings, from the top to the bottom.

    Args:
      centre: [3].
      rings: height above the centre, half the width, half the depth, and how far the
        ring is shifted forward; metres.
      spokes: vertices of each ring; the first is in front.
    """
    around = np.linspace(0, 2 * np.pi, spokes, endpoint=False)
    y, width, depth, ahead = np.array(rings)[:, :, None].transpose(1, 0, 2)
    surface = np.stack(
        [
            width * np.sin(around),
            y + 0 * around,
            depth * np.cos(around) + ahead,
        ],
        axis=-1,
    )
    faces = ring_faces(len(rings), spokes)
    return (centre + surface).reshape(-1, 3).astype(np.float32), faces


def box(centre: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns vertices and faces of a box with sharp edges."""
    corners = np.array(np.meshgrid(*[(-1.0, 1.0)] * 3, indexing="ij")).reshape(3, 8).T
    # Each side has corners of its own, so that its normals are not blended.
    sides = ("0132", "4675", "0451", "2376", "0264", "1573")
    corners = corners[[int(corner) for side in sides for corner in side]]
    first = 4 * np.arange(6)
    quads = np.stack([first, first + 1, first + 2, first + 3], axis=1)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return (centre + corners * half).astype(np.float32), faces
