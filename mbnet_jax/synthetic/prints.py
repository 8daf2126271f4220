"""Prints and textures of cloth, as functions of canonical coordinates.

A print maps points to positions in its list of three colours: 0 is the first, 0.5
halfway between the first and the second, 2 the third. Two people in the same garment
show the same print, and a print is as sharp as the image.
"""

import dataclasses
from collections.abc import Callable

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


def _waves(c: Cloth, scale: float, seed: float) -> np.ndarray:
    """Smooth pseudo-random values of mean 0 and order 1, float [n]."""
    total = 0.0
    for k in range(3):
        angle = 2.4 * k + 6.3 * seed
        f = 2 * np.pi / scale * (0.75 + 0.25 * k)
        a, b = f * np.cos(angle), f * np.sin(angle)
        total = total + np.sin(a * c.u + b * c.v + 9 * seed * k + 1.3 * total)
    return total / 1.5


def _noise(i: np.ndarray, j: np.ndarray, seed: float) -> np.ndarray:
    """Pseudo-random values in 0..1 of whole numbers i, j, float [n]."""
    value = np.sin(i * 12.9898 + j * 78.233 + seed * 37.719) * 43758.5453
    return value - np.floor(value)


def _cells(
    u: np.ndarray, v: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns column and row of each point's cell, and its place there in -0.5..0.5.

    Every other row is shifted by half a cell.
    """
    j = np.floor(v / scale)
    shifted = u / scale + 0.5 * (j % 2)
    i = np.floor(shifted)
    return i, j, shifted - i - 0.5, v / scale - j - 0.5


def _weave(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    # Thick threads, whose light and dark alternate.
    i, j = np.floor(c.u / (0.25 * s)), np.floor(c.v / (0.25 * s))
    return 0.55 * ((i + j) % 2) + 0.25 * _noise(i, 0 * j, r[0])


def _denim(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    worn = np.exp(-(((c.v + 0.1 + 0.1 * r[0]) / 0.2) ** 2)) * (c.z > 0)
    fleck = _noise(np.floor(c.u / 0.006), np.floor(c.v / 0.025), r[1])
    mottled = 0.2 * _waves(c, 2 * s, r[2])
    return np.clip(0.15 + mottled + (0.3 + 0.5 * r[3]) * worn + 0.3 * fleck, 0, 1)


def _heather(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    size = 0.006 + 0.06 * s
    return 0.9 * _noise(np.floor(c.u / size), np.floor(c.v / size), r[0])


def _camouflage(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    one, other = _waves(c, 1.6 * s, r[0]), _waves(c, 1.2 * s, r[1])
    return np.where(other > 0.75, 2.0, np.where(one > 0.1, 1.0, 0.0))


def _floral(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    i, j, a, b = _cells(c.u, c.v, 0.9 * s)
    a = a + 0.3 * (_noise(i, j, r[0]) - 0.5)
    b = b + 0.3 * (_noise(i, j, r[1]) - 0.5)
    radius, turn = np.hypot(a, b), np.arctan2(b, a)
    petals = 3 + np.floor(3 * r[2])
    edge = 0.26 * (1 + 0.35 * np.cos(petals * turn + 6 * _noise(i, j, r[3])))
    return np.where(radius < 0.09, 2.0, np.where(radius < edge, 1.0, 0.0))


def _tartan(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    period = 1.3 * s
    a, b = c.u / period % 1, c.v / period % 1
    broad = 0.5 * (a < 0.45) + 0.5 * (b < 0.45)
    fine = (np.abs(a - 0.22) < 0.03 + 0.02 * r[0]) | (np.abs(b - 0.72) < 0.04)
    return np.where(fine, 2.0, broad)


def _herringbone(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    column = np.floor(c.u / (0.5 * s))
    slope = np.where(column % 2 == 0, 1, -1) * (c.u % (0.5 * s))
    return ((c.v + slope) % (0.3 * s) < 0.15 * s) * (0.6 + 0.4 * r[0])


def _polka(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    _, _, a, b = _cells(c.u, c.v, 0.7 * s)
    return 1.0 * (np.hypot(a, b) < 0.2 + 0.15 * r[0])


def _zigzag(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    saw = np.abs(c.u / s % 1 - 0.5) * s
    return np.floor((c.v + saw) / (0.35 * s) % (2 + np.round(r[0])))


def _tie_dye(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    a, b = c.u - 0.1 * (r[0] - 0.5), c.v - 0.3 - 0.2 * r[1]
    radius, turn = np.hypot(a, b), np.arctan2(b, a)
    arms = np.round(2 + 4 * r[2])
    swirl = radius / (0.6 * s) + arms * turn / (2 * np.pi) + 0.15 * _waves(c, s, r[3])
    return 1 - np.cos(2 * np.pi * swirl)


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


def _letters(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
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
    glyph = (10 * _noise(np.where(inside, which, 0), 0 * c.u, r[2])).astype(int)
    at = (np.where(inside, v, 0).astype(int) for v in (row, column))
    return np.where(inside & (glyphs[(glyph, *at)] > 0), 1.0, 0.0)


def _emblem(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    size = 0.03 + 0.09 * r[0]
    x0 = (0.0 if size > 0.06 else 0.07) * (1 if r[1] < 0.7 else -1)
    a, b = (c.x - x0) / size, (c.y - 0.53 + 0.5 * size) / size
    radius, turn = np.hypot(a, b), np.arctan2(b, a)
    star = np.round(3 + 3 * r[2])
    inner = 0.5 + 0.3 * np.cos(star * (turn - np.pi / 2)) * (r[3] < 0.7)
    mark = np.where(radius < inner, 2.0, np.where(radius < 1, 1.0, 0.0))
    return mark * ((c.z > 0.02) & ~c.sleeve)


def _photo(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    inside = (np.abs(c.x) < 0.09 + 0.04 * r[0]) & (c.y > 0.34 - 0.1 * r[1])
    inside &= (c.y < 0.6) & (c.z > 0.02) & ~c.sleeve
    picture = 1.1 + 0.6 * _waves(c, 0.12, r[2]) + 0.5 * _waves(c, 0.045, r[3])
    return np.where(inside, np.clip(picture, 0, 2), 0.0)


def _gradient(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    along = np.where(c.sleeve, c.arm / 2, (0.7 - c.v) / (0.7 + 0.6 * r[0]))
    return np.clip((2 if r[1] < 0.4 else 1) * along, 0, 2)


def _blocks(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    slope = 0.9 * (r[0] - 0.5) * (r[1] < 0.5)
    first = 0.3 + 0.25 * r[2] - 0.55 * c.leg
    level = np.where(c.sleeve, 0.7 - 0.2 * c.arm, c.y) + slope * c.x
    return 1.0 * (level < first) + (level < first - 0.08 - 0.12 * r[3])


def _side_stripes(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    # Along the outside of legs, trunk and arms.
    outside = np.where(c.leg, np.abs(c.x) > 0.16, np.abs(c.x) > 0.12) | c.sleeve
    away = np.abs(np.where(c.sleeve, c.z - 0.04 - 0.07 * c.arm, c.z)) / 0.02
    count = 1 + np.round(2 * r[0])
    stripe = (away < count) & (np.floor(away * 1.5) % 2 == 0)
    return np.where(outside & stripe, 1.0 + (r[1] < 0.3), 0.0)


def _raglan(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    # On trousers: panels at the sides.
    seam = np.abs(c.x) > 0.21 - 0.75 * np.maximum(c.y - 0.42, 0)
    panel = np.where(c.y < 0.2, (np.abs(c.x) > 0.17), seam & (c.y > 0.42))
    trim = (c.arm > 1.8) & c.sleeve if r[0] < 0.5 else np.zeros(len(c.x), bool)
    return np.where(trim, 2.0, 1.0 * (c.sleeve | panel))


def _gingham(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    size = (0.3 + 0.5 * r[0]) * s
    return 0.5 * (c.u % size < size / 2) + 0.5 * (c.v % size < size / 2)


def _bands(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    # Reflective tape, edged with another colour.
    level = np.where(c.sleeve, 0.6 - 0.28 * c.arm, c.y)
    rows = (0.45 - 0.1 * r[0], 0.3 - 0.1 * r[0], -0.3, -0.42, -0.56 + 0.1 * r[1])
    away = np.min([np.abs(level - row) for row in rows], axis=0)
    if r[2] < 0.6:
        upright = np.abs(np.abs(c.x) - 0.11) + 9.0 * (c.sleeve | (c.y < 0.3))
        away = np.minimum(away, upright)
    return np.where(away < 0.022, 1.0, np.where(away < 0.036, 2.0, 0.0))


def _hoops(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    place = c.v / ((0.4 + 0.8 * r[0]) * s) % 1
    three = (np.abs(place - 0.7) < 0.08) & (r[2] < 0.3)
    return np.where(three, 2.0, 1.0 * (place < 0.25 + 0.3 * r[1]))


def _pinstripes(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    return 1.0 * (c.u % (0.3 * s + 0.4 * s * r[0]) < 0.08 * s + 0.06 * s * r[1])


def _leopard(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    i, j, a, b = _cells(c.u, c.v, 0.55 * s)
    a = a + 0.3 * (_noise(i, j, r[0]) - 0.5)
    b = b + 0.3 * (_noise(i, j, r[1]) - 0.5)
    radius, turn = np.hypot(a, 1.2 * b), np.arctan2(b, a)
    ring = np.abs(radius - 0.28) < 0.1 * (1 + np.cos(2 * turn + 6 * _noise(i, j, r[2])))
    return np.where(ring, 1.0, np.where(radius < 0.2, 2.0, 0.0))


def _marble(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    bent = c.v / (0.8 * s) + 1.2 * _waves(c, 2.5 * s, r[0])
    return 1 + np.sin(2 * np.pi * bent + 3 * r[1])


def _houndstooth(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    size = 0.45 * s + 0.2 * s * r[0]
    a, b = c.u / size % 1, c.v / size % 1
    across, along = a < 0.5, b < 0.5
    diagonal = (a - b) % 0.5 < 0.25
    return 1.0 * np.where(across == along, across, diagonal)


def _argyle(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    a, b = c.u / (0.9 * s), c.v / (1.5 * s)
    i, j = np.floor(a + b), np.floor(a - b)
    line = np.abs((a + b + 0.5) % 1 - 0.5) < 0.05
    line |= np.abs((a - b + 0.5) % 1 - 0.5) < 0.05
    return np.where(line, 2.0, 1.0 * ((i % 2 == 0) & (j % 2 == 0)))


def _patchwork(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    i, j, a, b = _cells(c.u, c.v, s)
    seam = np.maximum(np.abs(a), np.abs(b)) > 0.47
    return np.where(seam, 0.5, np.floor(3 * _noise(i, j, r[0])))


def _splatter(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    i, j, a, b = _cells(c.u, c.v, 0.8 * s)
    size = 0.42 * _noise(i, j, r[0]) * (0.75 + 0.25 * _waves(c, 0.3 * s, r[1]))
    return np.where(np.hypot(a, b) < size, 1.0 + (_noise(i, j, r[2]) < 0.4), 0.0)


def _yoke(c: Cloth, s: float, r: np.ndarray) -> np.ndarray:
    edge = np.where(c.sleeve, 0.75 - 0.28 * c.arm, c.y)
    place = 0.5 - 0.08 * r[0]
    upper = edge > np.where(c.leg, -0.2, place) - 0.12 * np.abs(c.x) * (r[1] < 0.5)
    return 1.0 * upper


# Names in the config, and their functions of (cloth, scale, variation).
PRINTS: dict[str, Callable[[Cloth, float, np.ndarray], np.ndarray]] = {
    "weave": _weave,
    "denim": _denim,
    "heather": _heather,
    "camouflage": _camouflage,
    "floral": _floral,
    "tartan": _tartan,
    "herringbone": _herringbone,
    "polka": _polka,
    "zigzag": _zigzag,
    "tie_dye": _tie_dye,
    "letters": _letters,
    "emblem": _emblem,
    "photo": _photo,
    "gradient": _gradient,
    "blocks": _blocks,
    "side_stripes": _side_stripes,
    "raglan": _raglan,
    "gingham": _gingham,
    "bands": _bands,
    "hoops": _hoops,
    "pinstripes": _pinstripes,
    "leopard": _leopard,
    "marble": _marble,
    "houndstooth": _houndstooth,
    "argyle": _argyle,
    "patchwork": _patchwork,
    "splatter": _splatter,
    "yoke": _yoke,
}


# Prints of which trousers show nothing.
CHEST_ONLY = ("letters", "emblem", "photo")


def blend(colours: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns the colours [n, 3] at positions [n] in a list of colours [3, 3]."""
    first = np.minimum(place.astype(np.int64), 1)
    share = (place - first)[:, None]
    return colours[first] * (1 - share) + colours[first + 1] * share
