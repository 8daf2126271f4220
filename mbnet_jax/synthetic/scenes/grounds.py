"""Periodic grounds of 6 by 6 metres: asphalt, tiles, grass, ..."""

import cv2
import numpy as np

from mbnet_jax.synthetic import noise
from mbnet_jax.synthetic.scenes.canvas import TEXELS

METRES = 6
SIDE = METRES * TEXELS

# Colours between which the ground varies, RGB; and how strong the fine grain is.
_LOOSE = {
    "asphalt": (((0.2, 0.2, 0.21), (0.33, 0.33, 0.33), (0.4, 0.39, 0.38)), 0.07),
    "concrete": (((0.42, 0.41, 0.39), (0.55, 0.54, 0.52), (0.63, 0.62, 0.6)), 0.04),
    "grass": (((0.13, 0.2, 0.08), (0.26, 0.34, 0.14), (0.42, 0.43, 0.22)), 0.2),
    "gravel": (((0.38, 0.34, 0.28), (0.52, 0.48, 0.41), (0.6, 0.57, 0.5)), 0.16),
    "snow": (((0.68, 0.71, 0.76), (0.86, 0.88, 0.9), (0.93, 0.94, 0.95)), 0.03),
    "sand": (((0.6, 0.52, 0.4), (0.74, 0.66, 0.52), (0.84, 0.77, 0.64)), 0.05),
    "carpet": (((0.2, 0.22, 0.3), (0.27, 0.28, 0.36), (0.3, 0.31, 0.38)), 0.1),
    "lino": (((0.5, 0.5, 0.46), (0.56, 0.56, 0.52), (0.6, 0.6, 0.57)), 0.02),
}


TILED = ("slabs", "tiles", "cobbles", "planks")


def loose(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Draws a ground without joints, a key of _LOOSE; float32 [SIDE, SIDE, 3]."""
    colours, grain = _LOOSE[kind]
    patches = noise.field(rng, (SIDE, SIDE), (4, 9, 21, 53))
    image = noise.mixed(rng, np.array(colours) * rng.uniform(0.8, 1.15), patches)
    fine = rng.standard_normal((SIDE, SIDE), np.float32)
    if kind in ("grass", "gravel"):
        fine = cv2.GaussianBlur(fine, (0, 0), 1.2) * 3
    image *= (1 + grain * fine)[..., None]
    if kind in ("asphalt", "concrete"):
        _crack(image, rng)
    return image


def _crack(image: np.ndarray, rng: np.random.Generator) -> None:
    """Draws cracks, patches of repair and stains."""
    for _ in range(rng.integers(1, 4)):
        steps = rng.normal(0, 9, (40, 2)) + rng.normal(0, 6, 2)
        path = np.cumsum(steps, 0) + rng.uniform(0, SIDE, 2)
        dark = (image.mean((0, 1)) * 0.6).tolist()
        cv2.polylines(image, [path.astype(np.int32)], False, dark, 1, cv2.LINE_AA)
    for _ in range(rng.integers(0, 3)):
        x, y = rng.integers(0, SIDE - 60, 2)
        w, h = rng.integers(40, 200, 2)
        image[y : y + h, x : x + w] *= rng.uniform(0.82, 1.1)
    for _ in range(rng.integers(4, 14)):
        at = tuple(rng.integers(0, SIDE, 2).tolist())
        shade = (image[at[1], at[0]] * rng.uniform(0.65, 0.9)).tolist()
        cv2.circle(image, at, int(rng.integers(2, 10)), shade, -1, cv2.LINE_AA)


def tiles(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Draws a ground of TILED, each piece of one colour.

    Returns float32 [SIDE, SIDE, 3].
    """
    sizes = {
        "slabs": ((4, 4), (6, 6), (8, 4), (12, 12)),
        "tiles": ((6, 6), (12, 12), (10, 10), (12, 8), (20, 20)),
        "cobbles": ((32, 48), (24, 48), (48, 48)),
        "planks": ((3, 36), (2, 24)),
    }[kind]
    rows, columns = sizes[rng.integers(len(sizes))]
    warmth = rng.normal(0, 0.06)
    hue = np.exp([warmth, rng.normal(0, 0.02), -warmth])
    base = np.float32(rng.uniform(0.35, 0.75) * hue)
    if kind == "planks":
        base = np.float32(rng.uniform(0.5, 1.1) * np.array([0.55, 0.42, 0.3]))
    spread = {"slabs": 0.06, "tiles": 0.03, "cobbles": 0.13, "planks": 0.12}[kind]
    each = 1 + rng.normal(0, spread, (rows, columns, 1)).astype(np.float32)
    each = each * np.exp(rng.normal(0, 0.02, (rows, columns, 3))).astype(np.float32)
    if kind == "tiles" and rng.random() < 0.5:  # a pattern of two colours
        i, j = np.indices((rows, columns))
        second = (i + j) % 2 == 0 if rng.random() < 0.5 else (i % 4 == 0) | (j % 4 == 0)
        each[second] *= np.float32(rng.uniform(0.5, 0.85))
    image = cv2.resize(each * base, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    worn = noise.field(rng, (SIDE, SIDE), (3, 11, 43))
    image *= (1 + 0.06 * worn)[..., None]
    fine = rng.standard_normal((SIDE, SIDE), np.float32)
    image *= (1 + 0.03 * fine)[..., None]
    joint = rng.uniform(0.6, 0.9)
    thick = 1 if kind == "cobbles" else 2
    for k in range(rows):
        row = k * SIDE // rows
        image[row : row + thick] *= joint
    for k in range(columns):
        column = k * SIDE // columns
        image[:, column : column + thick] *= joint
    return image
