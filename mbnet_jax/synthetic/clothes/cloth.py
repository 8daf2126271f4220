"""The coordinates of points on a garment, and what prints are made of."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Cloth:
    """Points on a garment, each array [n].

    Attributes:
      x, y, z: canonical position, in metres.
      u, v: metres across and along the cloth.
      arm: 0 at the shoulder, 1 at the elbow, 2 at the wrist.
      sleeve: whether the point is on an arm.
      leg: whether the point is below the crotch, on a leg.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    u: np.ndarray
    v: np.ndarray
    arm: np.ndarray
    sleeve: np.ndarray
    leg: np.ndarray


def lay_out(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, arm: np.ndarray, sleeve: np.ndarray
) -> Cloth:
    """Returns the cloth at canonical points, each array [n]."""
    # A limb is unrolled around its middle, the trunk around the spine.
    leg = ~sleeve & (y < 0.05)
    middle = np.where(leg, np.sign(x) * 0.15, 0.0)
    u = np.where(sleeve, z + 0.5 * x * np.sign(x), x - middle + 0.7 * z)
    v = np.where(sleeve, arm * 0.28, y)
    return Cloth(x, y, z, u, v, arm, sleeve, leg)


def waves(c: Cloth, scale: float, seed: float) -> np.ndarray:
    """Smooth pseudo-random values of mean 0 and order 1, float [n]."""
    total = 0.0
    for k in range(3):
        angle = 2.4 * k + 6.3 * seed
        f = 2 * np.pi / scale * (0.75 + 0.25 * k)
        a, b = f * np.cos(angle), f * np.sin(angle)
        total = total + np.sin(a * c.u + b * c.v + 9 * seed * k + 1.3 * total)
    return total / 1.5


def noise(i: np.ndarray, j: np.ndarray, seed: float) -> np.ndarray:
    """Pseudo-random values in 0..1 of whole numbers i, j, float [n]."""
    value = np.sin(i * 12.9898 + j * 78.233 + seed * 37.719) * 43758.5453
    return value - np.floor(value)


def cells(
    u: np.ndarray, v: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns column and row of each point's cell, and its place there in -0.5..0.5.

    Every other row is shifted by half a cell.
    """
    j = np.floor(v / scale)
    shifted = u / scale + 0.5 * (j % 2)
    i = np.floor(shifted)
    return i, j, shifted - i - 0.5, v / scale - j - 0.5
