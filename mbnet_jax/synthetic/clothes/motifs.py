"""Prints that have their place on a garment.

Each is a function of (cloth, scale in metres, four numbers in 0..1): see `prints`.
"""

import numpy as np

from mbnet_jax.synthetic.clothes.cloth import Cloth, noise, waves

_GLYPHS = tuple(  # rows of five points, from the top
    tuple(tuple(int(bit) for bit in row) for row in glyph.split())
    for glyph in (
        "01110 10001 10001 11111 10001 10001 10001",
        "11110 10001 10001 11110 10001 10001 11110",
        "11111 10000 10000 11110 10000 10000 11111",
        "10001 11001 10101 10011 10001 10001 10001",
        "01110 10001 10000 01110 00001 10001 01110",
        "11111 00100 00100 00100 00100 00100 00100",
        "01110 10001 10001 10001 10001 10001 01110",
        "10001 10001 01010 00100 01010 10001 10001",
        "00100 01100 00100 00100 00100 00100 01110",
        "01110 10001 00001 00110 01000 10000 11111",
    )
)


def tie_dye(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """A spiral of soft colours around the belly."""
    a, b = c.u - 0.1 * (r[0] - 0.5), c.v - 0.3 - 0.2 * r[1]
    radius, turn = np.hypot(a, b), np.arctan2(b, a)
    arms = np.round(2 + 4 * r[2])
    swirl = radius / (0.6 * s) + arms * turn / (2 * np.pi) + 0.15 * waves(c, s, r[3])
    return 1 - np.cos(2 * np.pi * swirl)


def letters(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Big letters on the chest, or on chest and back."""
    glyphs = np.array(_GLYPHS)
    count = 1 + int(3.99 * r[0])  # one big letter, or a word of up to four
    wide = min(0.26, 0.14 * count) / count
    tall = wide * 1.5
    # A word runs to the wearer's right, at the chest or on the back.
    facing = np.where(c.z > 0.02, 1, -1) if r[1] < 0.6 else np.ones(len(c.u))
    a = (c.x * facing / wide) + count / 2
    b = (0.52 + 0.5 * tall - c.y) / tall
    which = np.floor(a)
    column, row = np.floor((a - which) * 6 - 0.5), np.floor(b * 7)
    inside = (which >= 0) & (which < count) & (column >= 0) & (column < 5)
    inside &= (row >= 0) & (row < 7) & ~c.sleeve & ((c.z > 0.02) | (r[1] < 0.6))
    glyph = (10 * noise(np.where(inside, which, 0), 0 * c.u, r[2])).astype(int)
    at = (np.where(inside, v, 0).astype(int) for v in (row, column))
    return np.where(inside & (glyphs[(glyph, *at)] > 0), 1.0, 0.0)


def emblem(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """A badge on the chest."""
    size = 0.03 + 0.09 * r[0]
    x0 = (0.0 if size > 0.06 else 0.07) * (1 if r[1] < 0.7 else -1)
    a, b = (c.x - x0) / size, (c.y - 0.53 + 0.5 * size) / size
    radius, turn = np.hypot(a, b), np.arctan2(b, a)
    star = np.round(3 + 3 * r[2])
    inner = 0.5 + 0.3 * np.cos(star * (turn - np.pi / 2)) * (r[3] < 0.7)
    mark = np.where(radius < inner, 2.0, np.where(radius < 1, 1.0, 0.0))
    return mark * ((c.z > 0.02) & ~c.sleeve)


def photo(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """A printed picture on the chest."""
    inside = (np.abs(c.x) < 0.09 + 0.04 * r[0]) & (c.y > 0.34 - 0.1 * r[1])
    inside &= (c.y < 0.6) & (c.z > 0.02) & ~c.sleeve
    picture = 1.1 + 0.6 * waves(c, 0.12, r[2]) + 0.5 * waves(c, 0.045, r[3])
    return np.where(inside, np.clip(picture, 0, 2), 0.0)


def gradient(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Colours that fade from the shoulders down."""
    along = np.where(c.sleeve, c.arm / 2, (0.7 - c.v) / (0.7 + 0.6 * r[0]))
    return np.clip((2 if r[1] < 0.4 else 1) * along, 0, 2)


def blocks(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Two or three large blocks of colour."""
    slope = 0.9 * (r[0] - 0.5) * (r[1] < 0.5)
    first = 0.3 + 0.25 * r[2] - 0.55 * c.leg
    level = np.where(c.sleeve, 0.7 - 0.2 * c.arm, c.y) + slope * c.x
    return 1.0 * (level < first) + (level < first - 0.08 - 0.12 * r[3])


def side_stripes(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Stripes along the outside of sleeves and legs."""
    # Along the outside of legs, trunk and arms.
    outside = np.where(c.leg, np.abs(c.x) > 0.16, np.abs(c.x) > 0.12) | c.sleeve
    away = np.abs(np.where(c.sleeve, c.z - 0.04 - 0.07 * c.arm, c.z)) / 0.02
    count = 1 + np.round(2 * r[0])
    stripe = (away < count) & (np.floor(away * 1.5) % 2 == 0)
    return np.where(outside & stripe, 1.0 + (r[1] < 0.3), 0.0)


def raglan(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Sleeves of another colour up to the neck; panels at the sides of trousers."""
    # On trousers: panels at the sides.
    seam = np.abs(c.x) > 0.21 - 0.75 * np.maximum(c.y - 0.42, 0)
    panel = np.where(c.y < 0.2, (np.abs(c.x) > 0.17), seam & (c.y > 0.42))
    trim = (c.arm > 1.8) & c.sleeve if r[0] < 0.5 else np.zeros(len(c.x), bool)
    return np.where(trim, 2.0, 1.0 * (c.sleeve | panel))


def bands(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Reflective tape, edged with another colour."""
    level = np.where(c.sleeve, 0.6 - 0.28 * c.arm, c.y)
    rows = (0.45 - 0.1 * r[0], 0.3 - 0.1 * r[0], -0.3, -0.42, -0.56 + 0.1 * r[1])
    away = np.min([np.abs(level - row) for row in rows], axis=0)
    if r[2] < 0.6:
        upright = np.abs(np.abs(c.x) - 0.11) + 9.0 * (c.sleeve | (c.y < 0.3))
        away = np.minimum(away, upright)
    return np.where(away < 0.022, 1.0, np.where(away < 0.036, 2.0, 0.0))


def yoke(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    """Shoulders of another colour."""
    edge = np.where(c.sleeve, 0.75 - 0.28 * c.arm, c.y)
    place = 0.5 - 0.08 * r[0]
    upper = edge > np.where(c.leg, -0.2, place) - 0.12 * np.abs(c.x) * (r[1] < 0.5)
    return 1.0 * upper
