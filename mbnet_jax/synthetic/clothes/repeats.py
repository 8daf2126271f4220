"""Prints that repeat all over a garment.

Each is a function of (cloth, scale in metres, four numbers in 0..1): see `prints`.
"""

import numpy as np

from mbnet_jax.synthetic.clothes.cloth import Cloth, cells, noise, waves


def weave(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Thick threads, whose light and dark alternate."""
    i, j = np.floor(c.u / (0.25 * s)), np.floor(c.v / (0.25 * s))
    return 0.55 * ((i + j) % 2) + 0.25 * noise(i, 0 * j, r[0])


def denim(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Denim: flecked, and worn pale on the thighs."""
    worn = np.exp(-(((c.v + 0.1 + 0.1 * r[0]) / 0.2) ** 2)) * (c.z > 0)
    fleck = noise(np.floor(c.u / 0.006), np.floor(c.v / 0.025), r[1])
    mottled = 0.2 * waves(c, 2 * s, r[2])
    return np.clip(0.15 + mottled + (0.3 + 0.5 * r[3]) * worn + 0.3 * fleck, 0, 1)


def heather(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Threads of mixed colours."""
    size = 0.006 + 0.06 * s
    return 0.9 * noise(np.floor(c.u / size), np.floor(c.v / size), r[0])


def camouflage(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Blotches of three colours."""
    one, other = waves(c, 1.6 * s, r[0]), waves(c, 1.2 * s, r[1])
    return np.where(other > 0.75, 2.0, np.where(one > 0.1, 1.0, 0.0))


def floral(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Scattered flowers."""
    i, j, a, b = cells(c.u, c.v, 0.9 * s)
    a = a + 0.3 * (noise(i, j, r[0]) - 0.5)
    b = b + 0.3 * (noise(i, j, r[1]) - 0.5)
    radius, turn = np.hypot(a, b), np.arctan2(b, a)
    petals = 3 + np.floor(3 * r[2])
    edge = 0.26 * (1 + 0.35 * np.cos(petals * turn + 6 * noise(i, j, r[3])))
    return np.where(radius < 0.09, 2.0, np.where(radius < edge, 1.0, 0.0))


def tartan(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Crossing bands with fine lines."""
    period = 1.3 * s
    a, b = c.u / period % 1, c.v / period % 1
    broad = 0.5 * (a < 0.45) + 0.5 * (b < 0.45)
    fine = (np.abs(a - 0.22) < 0.03 + 0.02 * r[0]) | (np.abs(b - 0.72) < 0.04)
    return np.where(fine, 2.0, broad)


def herringbone(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Columns of slanted lines."""
    column = np.floor(c.u / (0.5 * s))
    slope = np.where(column % 2 == 0, 1, -1) * (c.u % (0.5 * s))
    return ((c.v + slope) % (0.3 * s) < 0.15 * s) * (0.6 + 0.4 * r[0])


def polka(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Dots in staggered rows."""
    _, _, a, b = cells(c.u, c.v, 0.7 * s)
    return 1.0 * (np.hypot(a, b) < 0.2 + 0.15 * r[0])


def zigzag(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Zigzag rows."""
    saw = np.abs(c.u / s % 1 - 0.5) * s
    return np.floor((c.v + saw) / (0.35 * s) % (2 + np.round(r[0])))


def gingham(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Small checks of crossing bands."""
    size = (0.3 + 0.5 * r[0]) * s
    return 0.5 * (c.u % size < size / 2) + 0.5 * (c.v % size < size / 2)


def hoops(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Horizontal stripes."""
    place = c.v / ((0.4 + 0.8 * r[0]) * s) % 1
    three = (np.abs(place - 0.7) < 0.08) & (r[2] < 0.3)
    return np.where(three, 2.0, 1.0 * (place < 0.25 + 0.3 * r[1]))


def pinstripes(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Fine upright stripes."""
    return 1.0 * (c.u % (0.3 * s + 0.4 * s * r[0]) < 0.08 * s + 0.06 * s * r[1])


def leopard(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Broken rings."""
    i, j, a, b = cells(c.u, c.v, 0.55 * s)
    a = a + 0.3 * (noise(i, j, r[0]) - 0.5)
    b = b + 0.3 * (noise(i, j, r[1]) - 0.5)
    radius, turn = np.hypot(a, 1.2 * b), np.arctan2(b, a)
    ring = np.abs(radius - 0.28) < 0.1 * (1 + np.cos(2 * turn + 6 * noise(i, j, r[2])))
    return np.where(ring, 1.0, np.where(radius < 0.2, 2.0, 0.0))


def marble(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Flowing bands."""
    bent = c.v / (0.8 * s) + 1.2 * waves(c, 2.5 * s, r[0])
    return 1 + np.sin(2 * np.pi * bent + 3 * r[1])


def houndstooth(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Checks with broken corners."""
    size = 0.45 * s + 0.2 * s * r[0]
    a, b = c.u / size % 1, c.v / size % 1
    across, along = a < 0.5, b < 0.5
    diagonal = (a - b) % 0.5 < 0.25
    return 1.0 * np.where(across == along, across, diagonal)


def argyle(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Diamonds with crossing lines."""
    a, b = c.u / (0.9 * s), c.v / (1.5 * s)
    i, j = np.floor(a + b), np.floor(a - b)
    line = np.abs((a + b + 0.5) % 1 - 0.5) < 0.05
    line |= np.abs((a - b + 0.5) % 1 - 0.5) < 0.05
    return np.where(line, 2.0, 1.0 * ((i % 2 == 0) & (j % 2 == 0)))


def patchwork(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Patches with seams."""
    i, j, a, b = cells(c.u, c.v, s)
    seam = np.maximum(np.abs(a), np.abs(b)) > 0.47
    return np.where(seam, 0.5, np.floor(3 * noise(i, j, r[0])))


def splatter(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Splashes of all sizes."""
    i, j, a, b = cells(c.u, c.v, 0.8 * s)
    size = 0.42 * noise(i, j, r[0]) * (0.75 + 0.25 * waves(c, 0.3 * s, r[1]))
    return np.where(np.hypot(a, b) < size, 1.0 + (noise(i, j, r[2]) < 0.4), 0.0)
