"""Scenes inside buildings: a hall, a corridor, stairs, an office."""

import numpy as np

from mbnet_jax.synthetic import noise
from mbnet_jax.synthetic.scenes import furniture, props
from mbnet_jax.synthetic.scenes.canvas import Canvas
from mbnet_jax.synthetic.scenes.staging import (
    Strangers,
    along,
    decals,
    lamps,
    people,
    room,
    row,
    stand,
)
from mbnet_jax.synthetic.textures import bright_colour, dull_colour


def hall(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a hall: a smooth floor with reflections, columns, signs and doors."""
    room(c, rng, "tiles", "slabs", "lino")
    shine = rng.uniform(0.05, 0.3)
    back = c.free + rng.uniform(0.5, 8)
    wide = 2.02 * c.edge * back
    wall = furniture.plaster(rng, wide, 4.0)
    x = rng.uniform(0, 1)
    while x < wide:
        pick = rng.random()
        if pick < 0.35:
            w, h = rng.uniform(0.6, 2.2), rng.uniform(0.4, 1.3)
            props.paste(wall, props.sign(rng, w, h), x, rng.uniform(1.2, 2.6) - 0.4)
        elif pick < 0.55:
            props.paste(wall, furniture.door(rng), x, 1.8)
        elif pick < 0.75:
            props.paste(wall, furniture.window(rng, 2.2, 2.6), x, 1.2)
        elif pick < 0.85:  # a lit machine
            props.paste(wall, props.shelf(rng, 1.0, 1.8), x, 2.1)
        x += rng.uniform(1.2, 3)
    c.wall(wall, back, 4.0, mirrored=shine)
    people(c, rng, strangers, int(rng.integers(0, 7)), back - c.free)
    columns = dull_colour(rng, 0.35, 0.85)
    if rng.random() < 0.7:
        z = c.free + rng.uniform(0, 0.8) * (back - c.free)
        half = rng.uniform(0.2, 0.5)
        for x in along(c, rng, z, rng.uniform(3, 6)):
            stand(c, furniture.column(rng, columns, half), x, z, mirrored=shine)
    things = (
        (0.25, furniture.bench),
        (0.15, furniture.litter_bin),
        (0.1, lambda r: props.sign(r, 0.7, 1.6)),
        (0.1, lambda r: props.bush(r, 0.8, 1.5)),
    )
    row(c, rng, c.free, rng.uniform(2.5, 6), things)
    decals(c, rng, 3)
    lamps(c, rng, 2 * shine)


def corridor(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a corridor in perspective, with doors on both sides."""
    room(c, rng, "lino", "carpet", "tiles", "planks")
    shine, back = rng.uniform(0.0, 0.25), c.far * rng.uniform(1.5, 3.0)
    # Wide enough for the walkers; the picture shows it from its middle to its walls.
    half = c.half = max(1.2, rng.uniform(0.4, 0.9) * c.edge * c.free)
    colour = dull_colour(rng, 0.4, 0.85)
    end = furniture.plaster(rng, 2 * half + 0.2, 3.0, colour)
    props.paste(end, furniture.door(rng), rng.uniform(0, half), 0.8)
    props.paste(end, furniture.window(rng, 1.2, 2.0), half + 0.2, 0.9)
    c.upright(end, 0, back, (2 * half, 3.0), mirrored=shine)
    first = max(half / c.edge * 0.98, 1.0)
    for side in (-1, 1):
        wall = furniture.plaster(rng, back - first, 3.0, colour)
        band = rng.uniform(0.8, 1.3)
        if rng.random() < 0.5:
            a = props.pixels(3.0 - band)[0]
            wall[a:, :, :3] *= np.float32(dull_colour(rng, 0.5, 0.9))
        for at in np.arange(rng.uniform(0.2, 1.5), back - first - 1, 2.6):
            props.paste(wall, furniture.door(rng), at, 0.8)
            if rng.random() < 0.5:
                props.paste(wall, props.sign(rng, 0.6, 0.8), at + 1.5, 1.2)
        props.box(wall, 0, 2.88, back - first, 0.12, colour * 0.5)
        shaded = wall * np.float32([0.85, 0.85, 0.85, 1])
        c.side(shaded, side * half, (first, back), 3.0)
    people(c, rng, strangers, int(rng.integers(0, 3)), back - c.free)
    for z in np.arange(0.6 * c.far, back, rng.uniform(0.2, 0.4) * c.far):
        c.shade(0, z, (0.5, 0.5), -rng.uniform(0.1, 0.4))


def stairs(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a flight of steps behind the person, with handrails."""
    room(c, rng, "concrete", "slabs", "tiles", "asphalt")
    rise, tread = rng.uniform(0.14, 0.18), rng.uniform(0.28, 0.4)
    colour = dull_colour(rng, 0.4, 0.7)
    count, nosing = int(rng.integers(8, 20)), rng.choice((0.7, 1.0, 1.25))
    high, back = count * rise, c.free + count * tread
    c.upright(
        furniture.facade(rng, 2.02 * c.edge * back, 4.0),
        0,
        back,
        (2.02 * c.edge * back, 4.0),
        y=high,
    )
    surface = noise.field(rng, (24, 400), (8, 40, 120))
    for k in range(count - 1, -1, -1):
        z, y = c.free + k * tread, k * rise
        half = 1.01 * c.edge * (z + tread)
        top = noise.tinted(rng, colour * rng.uniform(1.05, 1.2), surface, 0.05)
        front = noise.tinted(rng, colour * 0.68, surface[::-1], 0.06)
        top[-4:] *= nosing
        c.quad(
            top,
            [
                (-half, y + rise, z + tread),
                (half, y + rise, z + tread),
                (half, y + rise, z),
                (-half, y + rise, z),
            ],
        )
        c.upright(front, 0, z, (2 * half, rise), y=y)
    rail = props.solid(dull_colour(rng, 0.15, 0.7))[:3]
    for x in along(c, rng, c.free, rng.uniform(2.5, 5)):
        bar = np.tile(np.float32(rail), (8, 8, 1))
        for k in range(0, count, 4):
            z, y = c.free + k * tread, k * rise
            c.upright(bar, x, z, (0.05, 0.95), y=y)
        c.quad(
            bar,
            [
                (x - 0.03, 0.98, c.free),
                (x - 0.03, 0.98 + high, back),
                (x + 0.03, 0.98 + high, back),
                (x + 0.03, 0.98, c.free),
            ],
        )


def office(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints desks with screens, partitions and cupboards."""
    room(c, rng, "carpet", "lino", "planks", "carpet")
    back = c.free + rng.uniform(2, 7)
    wide = 2.02 * c.edge * back
    wall = furniture.plaster(rng, wide, 3.5)
    x = rng.uniform(0, 1)
    while x < wide:
        pick = rng.random()
        if pick < 0.5:
            props.paste(wall, furniture.window(rng, 1.6, 1.7), x, 0.9)
        elif pick < 0.7:
            props.paste(wall, furniture.door(rng), x, 1.3)
        elif pick < 0.85:
            props.paste(wall, props.shelf(rng, 1.2, 2.0), x, 1.5)
        else:
            props.paste(wall, props.sign(rng, 1.2, 0.8), x, 1.2)
        x += rng.uniform(1.3, 2.5)
    c.wall(wall, back, 3.5)
    people(c, rng, strangers, int(rng.integers(0, 4)), back - c.free)
    cloth = np.array(bright_colour(rng)) * 0.8
    cupboards = (
        0.12,
        lambda r: furniture.plaster(r, 0.9, 1.6, dull_colour(r, 0.4, 0.9)),
    )
    desks = (0.65, lambda r: _desk(r, cloth))
    for z in np.linspace(back - 0.6, c.free, int(rng.integers(2, 4))):
        row(c, rng, z, rng.uniform(1.9, 2.6), (desks, cupboards))
    decals(c, rng, 2)


def _desk(rng: np.random.Generator, cloth: np.ndarray) -> np.ndarray:
    """Draws a desk in front of a partition, 1.7 by 1.4 metres."""
    image = props.blank(1.7, 1.4)
    if rng.random() < 0.6:
        props.box(image, 0, 0, 1.7, 1.3, cloth * rng.uniform(0.9, 1.1))
        props.box(image, 0, 0, 1.7, 0.04, (0.6, 0.6, 0.6))
    wood = np.array([0.62, 0.5, 0.38]) * rng.uniform(0.7, 1.4)
    for x in (0.1, 0.8):
        if rng.random() < 0.7:
            props.box(image, x + 0.05, 0.27, 0.55, 0.35, (0.06, 0.06, 0.07))
            props.box(image, x + 0.08, 0.3, 0.49, 0.28, bright_colour(rng))
    for _ in range(int(rng.integers(2, 7))):
        tall = rng.uniform(0.05, 0.25)
        x = rng.uniform(0, 1.5)
        props.box(image, x, 0.68 - tall, 0.15, tall, bright_colour(rng))
    props.box(image, 0, 0.67, 1.7, 0.05, wood)
    for x in (0.03, 1.6):
        props.box(image, x, 0.7, 0.06, 0.7, wood * 0.6)
    props.box(image, 1.1, 0.72, 0.45, 0.65, dull_colour(rng, 0.3, 0.8))
    if rng.random() < 0.7:  # a chair
        seat = np.array(bright_colour(rng)) * 0.6
        props.box(image, 0.35, 0.5, 0.5, 0.5, seat)
        props.box(image, 0.58, 1.0, 0.05, 0.35, (0.1, 0.1, 0.1))
        props.box(image, 0.38, 1.33, 0.45, 0.05, (0.1, 0.1, 0.1))
    return props.weather(image, rng, 0.06)
