"""What scenes share: floors, rows of things, strangers, shadows."""

from collections.abc import Sequence

import numpy as np

from mbnet_jax.synthetic.scenes import grounds, props
from mbnet_jax.synthetic.scenes.canvas import Canvas
from mbnet_jax.synthetic.textures import dull_colour

Strangers = Sequence[np.ndarray]  # see `scene.draw_scene`; float32 in 0..1


def lay(c: Canvas, rng: np.random.Generator, *kinds: str) -> None:
    """Lays the floor with one of several kinds of ground."""
    kind = str(rng.choice(kinds))
    make = grounds.tiles if kind in grounds.TILED else grounds.loose
    c.floor(make(rng, kind), rng.uniform(0, grounds.METRES, 2))


def sky(c: Canvas, rng: np.random.Generator) -> None:
    """Paints an overcast sky."""
    grey = rng.uniform(0.75, 0.95)
    c.fill((grey * 0.93, grey * 0.97, grey), (0.8, 0.8, 0.78))


def along(c: Canvas, rng: np.random.Generator, z: float, step: float) -> np.ndarray:
    """Draws places across the picture at depth z, about `step` metres apart."""
    half = c.edge * z + 1
    places = np.arange(-half, half, step) + rng.uniform(0, step)
    return places + rng.normal(0, 0.15 * step, len(places))


def stand(c: Canvas, thing: np.ndarray, x: float, z: float, **how: float) -> None:
    """Puts a thing on the floor, with its shadow."""
    wide, tall = thing.shape[1] / props.PIXELS, thing.shape[0] / props.PIXELS
    c.shade(x, z - 0.1, (0.45 * wide + 0.1, 0.35), 0.45)
    c.upright(thing, x, z, (wide, tall), **how)


def people(
    c: Canvas, rng: np.random.Generator, strangers: Strangers, count: int, depth: float
) -> None:
    """Paints strangers between the free floor and `depth` metres behind it."""
    if not strangers:
        return
    for z in np.sort(c.free + depth * rng.random(count))[::-1]:
        figure = strangers[rng.integers(len(strangers))]
        figure = figure if rng.random() < 0.5 else figure[:, ::-1]
        x = rng.uniform(-1, 1) * c.edge * z
        c.shade(x, z - 0.05, (0.3, 0.25), 0.5)
        c.upright(figure, x, z, (1.2, 2.1))


def row(c: Canvas, rng: np.random.Generator, z: float, step: float, things) -> None:
    """Stands things of several kinds in a row.

    Args:
      c: the canvas.
      rng: the scene's random stream.
      z: depth of the row.
      step: metres from one to the next.
      things: (share, function that draws one from a random stream); shares may sum to
        less than 1, so that places stay empty.
    """
    for x in along(c, rng, z, step):
        pick = rng.random()
        for share, make in things:
            pick -= share
            if pick < 0:
                stand(c, make(rng), x, z)
                break


def daylight(c: Canvas, rng: np.random.Generator) -> None:
    """Casts the shadow of something large outside of the picture, on some floors."""
    if rng.random() < 0.45:
        turn, edge = rng.uniform(0, np.pi), rng.normal(0, 2)
        a, b = np.cos(turn), np.sin(turn)
        dark = c.image * np.float32(rng.uniform(0.5, 0.8))
        c.where_floor(dark, lambda x, z: (a * x + b * (z - c.far) - edge) * 0.4)


def decals(c: Canvas, rng: np.random.Generator, most: int) -> None:
    """Puts flat things on the free floor: covers, mats, arrows, stains, litter."""
    for _ in range(int(rng.integers(0, most + 1))):
        z = rng.uniform(0.6, 1.05) * c.free
        x, what = rng.uniform(-1, 1) * c.edge * z, rng.random()
        if what < 0.25:
            wide = rng.uniform(0.5, 1.0)
            c.stripe(((x, z), (x, z + wide)), wide, dull_colour(rng, 0.1, 0.4), 0.8)
            inner = dull_colour(rng, 0.2, 0.5)
            c.stripe(((x, z + 0.06), (x, z + wide - 0.06)), wide - 0.12, inner, 0.7)
        elif what < 0.4:
            c.stripe(((x, z), (x + 1.2, z)), 0.15, (0.85, 0.82, 0.75), 0.7)
            c.stripe(((x + 0.9, z - 0.3), (x + 1.3, z)), 0.15, (0.85, 0.82, 0.75), 0.7)
            c.stripe(((x + 0.9, z + 0.3), (x + 1.3, z)), 0.15, (0.85, 0.82, 0.75), 0.7)
        elif what < 0.7:
            size = tuple(rng.uniform(0.15, 0.9, 2))
            c.shade(x, z, size, rng.choice((-0.2, 0.25, 0.35)))
        else:
            for _ in range(int(rng.integers(3, 15))):
                a, b = x + rng.normal(0, 0.6), z + rng.normal(0, 0.6)
                c.stripe(((a, b), (a + 0.06, b)), 0.06, dull_colour(rng, 0.1, 0.9), 0.8)


def room(c: Canvas, rng: np.random.Generator, *kinds: str) -> None:
    """Paints the ceiling with its lamps, and the floor of a kind of ground."""
    grey = rng.uniform(0.3, 0.8)
    c.fill((grey,) * 3, (grey * 0.9,) * 3)
    lay(c, rng, *kinds)
    high = rng.uniform(2.7, 4.5)
    if c.top * c.free < high - c.height:
        return
    white = np.full((8, 8, 3), 0.97, np.float32)
    wide, deep = rng.uniform(0.2, 1.3, 2)
    for z in np.arange(0.5 * c.free, 3 * c.free, rng.uniform(1.5, 3.5))[::-1]:
        for x in along(c, rng, z, rng.uniform(1.5, 3)):
            a, b = x + wide, z + deep
            c.quad(white, [(x, high, b), (a, high, b), (a, high, z), (x, high, z)])


def lamps(c: Canvas, rng: np.random.Generator, strength: float) -> None:
    """Paints the reflections of lamps in a smooth floor."""
    step, long = rng.uniform(1.8, 4), rng.uniform(0.3, 1.2)
    for z in np.arange(0.5 * c.far, 2.2 * c.far, rng.uniform(0.2, 0.5) * c.far):
        for x in along(c, rng, z, step):
            c.shade(x, z, (0.25, long), -strength)
