"""More things that stand in scenes (see `props`): buildings' parts and furniture."""

import itertools

import cv2
import numpy as np

from mbnet_jax.synthetic import noise
from mbnet_jax.synthetic.scenes.props import (
    PIXELS,
    blank,
    box,
    paste,
    pixels,
    sign,
    solid,
    weather,
    write,
)
from mbnet_jax.synthetic.textures import bright_colour, dull_colour

_AA = cv2.LINE_AA


def plaster(
    rng: np.random.Generator, wide: float, tall: float, colour=None
) -> np.ndarray:
    """Draws a stained wall, plain, of bricks or of panels."""
    colour = dull_colour(rng, 0.3, 0.8) if colour is None else colour
    shape = blank(wide, tall).shape[:2]
    stains = noise.field(rng, shape, (4, 12, 40))
    image = noise.tinted(rng, colour, stains, 0.06)
    kind = rng.choice(("plain", "bricks", "panels"))
    if kind == "bricks":
        tint = np.array([0.62, 0.42, 0.33]) * rng.uniform(0.5, 1.2)
        if rng.random() < 0.6:
            image *= np.float32(tint / np.mean(colour))
        rows, columns = shape[0] // 4, max(shape[1] // 12, 2)
        each = 1 + 0.12 * rng.standard_normal((rows, columns)).astype(np.float32)
        image *= cv2.resize(each, shape[::-1], interpolation=cv2.INTER_NEAREST)[
            ..., None
        ]
        image[::4] *= 0.85
    if kind == "panels":
        step = int(rng.uniform(0.6, 2.0) * PIXELS)
        image[:, ::step] *= 0.7
        image[:: int(step * rng.uniform(0.5, 1.5))] *= 0.75
    image = np.dstack([image, np.ones(shape, np.float32)])
    return weather(image, rng, 0.05)


def window(rng: np.random.Generator, wide: float, tall: float) -> np.ndarray:
    """Draws a window: a frame, and glass with a blurred reflection or a room."""
    image = blank(wide, tall)
    box(image, 0, 0, wide, tall, dull_colour(rng, 0.15, 0.95))
    rows, columns = image.shape[:2]
    glow = noise.field(rng, (rows, columns), (2, 4))
    tone = rng.uniform(0.08, 0.5) * np.array([0.9, 1.0, 1.1])
    glass = np.clip(noise.tinted(rng, tone, glow, 0.35), 0, 1)
    glass *= np.linspace(1.3, 0.8, rows, dtype=np.float32)[:, None, None]
    edge = max(2, pixels(0.05)[0])
    bars = np.linspace(0, columns, int(rng.integers(2, 4)) + 1).astype(int)
    for a, b in itertools.pairwise(bars):
        part = np.s_[edge:-edge, a + edge : b - edge]
        image[part][..., :3] = glass[part]
    return image


def door(rng: np.random.Generator) -> np.ndarray:
    """Draws a door in its frame, 1.1 by 2.2 metres."""
    image = blank(1.1, 2.2)
    leaf = np.array(bright_colour(rng)) * 0.8
    box(image, 0, 0, 1.1, 2.2, dull_colour(rng, 0.3, 0.9))
    box(image, 0.08, 0.08, 0.94, 2.12, leaf)
    if rng.random() < 0.5:
        box(image, 0.65, 0.3, 0.2, 0.9, np.array([0.2, 0.24, 0.27]))
    else:
        for y in (0.25, 1.2):
            box(image, 0.22, y, 0.66, 0.75, leaf * 0.85)
    box(image, 0.15, 1.15, 0.12, 0.04, (0.8, 0.8, 0.78))
    if rng.random() < 0.6:
        box(image, 0.4, 0.55, 0.25, 0.12, (0.92, 0.92, 0.88))
    return weather(image, rng, 0.05)


def facade(rng: np.random.Generator, wide: float, tall: float) -> np.ndarray:
    """Draws the front of houses: windows, doors, shop windows and their signs."""
    image = plaster(rng, wide, tall)
    x = 0.0
    while x < wide - 1.0:
        front = min(rng.uniform(3.5, 9), wide - x)
        house = np.float32(dull_colour(rng, 0.5, 1.3))
        a, b = pixels(x, x + front)
        image[:, a:b, :3] *= house
        shop = rng.random() < 0.6
        at = x + 0.3
        while at < x + front - 1.2:
            if shop:
                w = min(rng.uniform(1.5, 3.0), x + front - at - 0.2)
                paste(image, window(rng, w, 2.1), at, tall - 2.4)
                paste(image, sign(rng, w, 0.5), at, tall - 3.0)
            elif rng.random() < 0.3:
                w = 1.1
                paste(image, door(rng), at, tall - 2.2)
            else:
                w = rng.uniform(0.8, 1.4)
                paste(image, window(rng, w, 1.3), at, tall - 2.3)
            if tall > 4.5:
                paste(image, window(rng, 1.1, 1.3), at, tall - 4.7)
            at += w + rng.uniform(0.25, 1.0)
        image[:, b - 3 : b, :3] *= 0.6
        x += front
    box(image, 0, tall - 0.3, wide, 0.3, dull_colour(rng, 0.2, 0.5))
    return np.clip(image, 0, 1)


def train(rng: np.random.Generator, wide: float) -> np.ndarray:
    """Draws the side of a train, 3 metres high."""
    tall = 3.0
    image = blank(wide, tall)
    paint = (
        np.array(bright_colour(rng))
        if rng.random() < 0.6
        else dull_colour(rng, 0.6, 0.9)
    )
    box(image, 0, 0, wide, tall, paint)
    box(
        image,
        0,
        rng.uniform(1.9, 2.2),
        wide,
        rng.uniform(0.15, 0.5),
        bright_colour(rng),
    )
    other, x = np.array(bright_colour(rng)), rng.uniform(-1, 1)
    while x < wide:
        for k in range(2):
            box(image, x + 0.68 * k, 0.7, 0.66, 2.1, other)
            box(image, x + 0.68 * k + 0.14, 0.95, 0.38, 0.85, (0.12, 0.15, 0.18))
        at = x + 1.7
        for _ in range(int(rng.integers(2, 4))):
            paste(image, window(rng, 1.5, 0.95), at, 0.9)
            at += 1.7
        if rng.random() < 0.5:
            write(image, at - 3, 2.55, 0.25, 6, paint * 0.4, rng)
        x = at + 0.2
    box(image, 0, 2.82, wide, 0.18, (0.07, 0.07, 0.07))
    return weather(image, rng, 0.06)


def bench(rng: np.random.Generator) -> np.ndarray:
    """Draws a bench, 1.8 by 0.9 metres."""
    image = blank(1.8, 0.9)
    wood = np.array([0.5, 0.36, 0.24]) * rng.uniform(0.6, 1.5)
    for y in (0.05, 0.2, 0.35, 0.5):
        box(image, 0, y, 1.8, 0.11, wood * rng.uniform(0.85, 1.1))
    for x in (0.15, 1.55):
        box(image, x, 0.0, 0.08, 0.9, (0.12, 0.12, 0.13))
    return image


def litter_bin(rng: np.random.Generator) -> np.ndarray:
    """Draws a litter bin, 0.5 by 0.95 metres."""
    image = blank(0.5, 0.95)
    colour = np.array(bright_colour(rng)) * 0.7
    box(image, 0.03, 0.1, 0.44, 0.85, colour)
    box(image, 0, 0.0, 0.5, 0.14, colour * 0.6)
    box(image, 0.1, 0.2, 0.3, 0.1, (0.05, 0.05, 0.05))
    round_ = np.sin(np.linspace(0.3, 2.8, image.shape[1])).astype(np.float32)
    image[..., :3] *= (0.4 + 0.7 * round_)[:, None]
    return image


def bicycle(rng: np.random.Generator) -> np.ndarray:
    """Draws a bicycle, 1.8 by 1.1 metres."""
    image = blank(1.8, 1.1)
    paint, dark = solid(bright_colour(rng)), solid((0.08, 0.08, 0.08))
    wheels = (0.35, 1.42)
    for x in wheels:
        cv2.circle(image, pixels(x, 0.75), pixels(0.32)[0], dark, 2, _AA)
        for turn in np.arange(0, np.pi, 0.5):
            a = 0.3 * np.array([np.cos(turn), np.sin(turn)])
            ends = pixels(x - a[0], 0.75 - a[1]), pixels(x + a[0], 0.75 + a[1])
            cv2.line(image, *ends, (0.15, 0.15, 0.15, 0.3), 1, _AA)
    frame = [(0.35, 0.75), (0.62, 0.32), (1.22, 0.3), (0.82, 0.75), (0.35, 0.75)]
    for a, b in (
        *itertools.pairwise(frame),
        ((0.58, 0.22), (0.82, 0.75)),
        ((1.18, 0.15), (1.42, 0.75)),
    ):
        cv2.line(image, pixels(*a), pixels(*b), paint, 3, _AA)
    box(image, 0.45, 0.18, 0.28, 0.06, (0.08, 0.08, 0.08))
    box(image, 1.08, 0.12, 0.22, 0.05, (0.1, 0.1, 0.1))
    return image


def column(rng: np.random.Generator, colour: np.ndarray, half: float) -> np.ndarray:
    """Draws a round column, 4 metres high."""
    image = blank(2 * half, 4.0)
    box(image, 0, 0, 2 * half, 4.0, colour)
    turn = np.linspace(-1.3, 1.3, image.shape[1]) + rng.uniform(-0.4, 0.4)
    image[..., :3] *= np.float32(0.35 + 0.7 * np.cos(turn))[:, None]
    return weather(image, rng, 0.03)
