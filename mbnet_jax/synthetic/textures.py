"""Textures of floors, and of walls with the clutter in front of them."""

import cv2
import numpy as np

from mbnet_jax.synthetic.noise import octave

TEXELS = 64  # per metre
WALL_METRES, FLOOR_METRES, WALL_HEIGHT = 16, 4, 4


def dull_colour(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Draws a nearly grey colour, RGB."""
    return np.clip(rng.uniform(low, high) * np.exp(rng.normal(0, 0.05, 3)), 0, 1)


def bright_colour(rng: np.random.Generator) -> tuple[float, ...]:
    """Draws any colour, mostly muted, RGB."""
    colour = rng.uniform(0.05, 0.9, 3)
    grey = rng.uniform(0.3, 0.95)
    return tuple((grey * colour.mean() + (1 - grey) * colour).tolist())


def _grain(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Draws the unevenness of a surface, of order 1, float32 [h, w, 1]."""
    return octave(rng, shape, (cells, cells))[..., None]


def make_floor(rng: np.random.Generator) -> np.ndarray:
    """Draws a periodic floor of 4 by 4 metres, float32 [256, 256, 3] in 0..1."""
    side = FLOOR_METRES * TEXELS
    base = dull_colour(rng, 0.25, 0.65)
    image = np.tile(np.float32(base), (side, side, 1))
    image *= (
        1 + 0.08 * _grain(rng, (side, side), 8) + 0.06 * _grain(rng, (side, side), 64)
    )
    kind = rng.choice(("tiles", "asphalt", "boards", "chequered"))
    step = int(rng.choice((32, 64, 128)))
    if kind == "chequered":
        i, j = np.indices((side, side)) // step
        image[(i + j) % 2 == 1] *= 0.75
    if kind in ("tiles", "boards"):
        image[::step] *= 0.6
        image[1::step] *= 0.7
    if kind == "tiles":
        image[:, ::step] *= 0.6
        image[:, 1::step] *= 0.7
    return np.clip(cv2.GaussianBlur(image, (0, 0), 0.8), 0, 1)


def make_wall(rng: np.random.Generator) -> np.ndarray:
    """Draws a wall of 16 by 4 metres, with objects in front of it.

    Returns:
      float32 [256, 1024, 3] in 0..1; row 0 is at the floor.
    """
    height, width = WALL_HEIGHT * TEXELS, WALL_METRES * TEXELS
    image = np.tile(np.float32(dull_colour(rng, 0.3, 0.8)), (height, width, 1))
    image *= 1 + 0.06 * _grain(rng, (height, width), 16)
    if rng.random() < 0.4:  # Bricks or panels.
        step = int(rng.integers(10, 40))
        image[::step] *= 0.8
        image[:, :: 2 * step] *= 0.85
    if rng.random() < 0.5:  # A painted lower half.
        image[: int(TEXELS * rng.uniform(0.8, 1.4))] *= np.float32(
            dull_colour(rng, 0.5, 0.9)
        )

    def box(x, y, w, h, colour):
        first, last = (int(x), int(y)), (int(x + w), int(y + h))
        cv2.rectangle(image, first, last, colour, -1)

    for x in np.arange(0, width, rng.uniform(60, 140)):
        x = x + rng.uniform(-15, 15)
        what = rng.choice(("window", "door", "poster", "shelf", "pillar", "nothing"))
        if what == "window":
            y, w, h = rng.uniform(55, 80), rng.uniform(50, 90), rng.uniform(60, 110)
            frame = dull_colour(rng, 0.2, 0.9).tolist()
            box(x, y, w, h, frame)
            glass = (dull_colour(rng, 0.15, 0.9) * (0.9, 1.0, 1.1)).tolist()
            for k in range(2):
                box(x + 4 + k * w / 2, y + 4, w / 2 - 8, h - 8, glass)
        if what == "door":
            box(x, 0, rng.uniform(50, 70), rng.uniform(125, 145), bright_colour(rng))
            box(x + 42, 62, 4, 6, (0.8, 0.8, 0.7))
        if what == "poster":
            w, h = rng.uniform(25, 60), rng.uniform(35, 80)
            y = rng.uniform(70, 120)
            box(x, y, w, h, bright_colour(rng))
            for _ in range(3):
                left, low = rng.uniform(0, 0.6, 2)
                box(x + left * w, y + low * h, 0.35 * w, 0.2 * h, bright_colour(rng))
        if what == "shelf":
            for y in range(0, int(rng.uniform(80, 150)), 26):
                box(x, y, 80, 3, (0.3, 0.25, 0.2))
                for k in range(8):
                    tall = rng.uniform(8, 20)
                    box(x + 10 * k, y + 3, 8, tall, bright_colour(rng))
        if what == "pillar":
            box(x, 0, rng.uniform(15, 30), height, dull_colour(rng, 0.3, 0.8).tolist())
    for _ in range(rng.integers(8, 16)):  # Bins, boxes, plants, benches.
        x, w, h = rng.uniform(0, width), rng.uniform(15, 60), rng.uniform(20, 60)
        box(x, 0, w, h, bright_colour(rng))
        box(x, h - 4, w, 4, (0.2, 0.2, 0.2))
    image[:6] *= 0.6
    return np.clip(cv2.GaussianBlur(image, (0, 0), 1.2), 0, 1)
