"""Scenes of shops and stations."""

import numpy as np

from mbnet_jax.synthetic.scenes import furniture, grounds, props
from mbnet_jax.synthetic.scenes.canvas import Canvas
from mbnet_jax.synthetic.scenes.staging import (
    Strangers,
    decals,
    lamps,
    people,
    room,
    row,
)
from mbnet_jax.synthetic.textures import bright_colour, dull_colour


def shop(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints the shelves of a shop, facing the camera or forming an aisle."""
    room(c, rng, "lino", "tiles", "tiles", "planks")
    shine, back = rng.uniform(0.05, 0.25), c.free + rng.uniform(0.3, 7)
    wide = 2.02 * c.edge * back
    c.wall(props.shelf(rng, wide, 2.2), back, 2.2, mirrored=shine)
    wall = furniture.plaster(rng, wide, 1.5)
    for x in np.arange(0.3, wide, rng.uniform(1.5, 3)):
        props.paste(wall, props.sign(rng, 1.3, 0.6), x, 0.6)
    c.upright(wall, 0, back, (wide, 1.5), y=2.2)
    aisle = rng.random() < 0.6
    if aisle:
        half = c.half = rng.uniform(1.2, 3.0)
        for side in (-1, 1):
            goods = props.shelf(rng, back - c.free + 4, 1.8)
            x, first = side * half, max(c.free - 4, 0.5 * c.far)
            if c.edge * back > half:
                c.side(goods, x, (first, back), 1.8)
    else:
        things = ((0.4, lambda r: props.shelf(r, 1.4, 1.3)), (0.3, _rack))
        row(c, rng, c.free + 0.2, rng.uniform(2.2, 4), things)
    decals(c, rng, 3)
    people(c, rng, strangers, int(rng.integers(0, 4)), back - c.free)
    lamps(c, rng, shine)


def _rack(rng: np.random.Generator) -> np.ndarray:
    """Draws clothes on a rail."""
    image = props.blank(1.6, 1.5)
    props.box(image, 0, 0, 1.6, 0.04, (0.6, 0.6, 0.62))
    for x in (0.02, 1.54):
        props.box(image, x, 0, 0.04, 1.5, (0.55, 0.55, 0.57))
    x = 0.1
    while x < 1.45:
        w, h = rng.uniform(0.05, 0.15), rng.uniform(0.6, 1.1)
        props.box(image, x, 0.06, w, h, bright_colour(rng))
        x += w + 0.01
    return props.weather(image, rng, 0.1)


def platform(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a platform: a yellow line, and a train or the other side's wall."""
    room(c, rng, "slabs", "concrete", "tiles", "asphalt")
    edge = c.free + rng.uniform(0.5, 2.5)
    half = c.edge * edge + 2
    line = np.array([0.85, 0.68, 0.12]) * rng.uniform(0.8, 1.1)
    for x in np.arange(-half, half, 0.32):  # studs
        c.stripe(((x, edge - 0.9), (x + 0.26, edge - 0.9)), 0.34, line, 0.9)
    c.stripe(((-half, edge - 0.1), (half, edge - 0.1)), 0.2, (0.8, 0.8, 0.77), 1.0)
    there = rng.random() < 0.65
    back = edge + (0.15 if there else rng.uniform(3, 6))
    wide = 2.02 * c.edge * back
    if there:
        c.upright(furniture.train(rng, wide), 0, back, (wide, 3.0), y=-0.1)
        c.stripe(((-half, edge + 0.05), (half, edge + 0.05)), 0.1, (0.04,) * 3, 1.0)
    else:
        wall = furniture.plaster(rng, wide, 5.0)
        for x in np.arange(rng.uniform(0, 2), wide, rng.uniform(2.5, 5)):
            props.paste(wall, props.sign(rng, 2.0, 1.3), x, rng.uniform(1.5, 2.5))
        pit = c.blank()
        pit.floor(grounds.loose(rng, "gravel") * 0.5)
        c.where_floor(pit.image, lambda x, z: z - edge)
        for z in (edge + 1.0, edge + 2.4):
            c.stripe(((-2 * half, z), (2 * half, z)), 0.09, (0.5, 0.47, 0.45), 1.0)
        c.upright(wall, 0, back, (wide, 5.0), y=-1.1)
    people(c, rng, strangers, int(rng.integers(0, 7)), edge - c.free - 0.5)
    colour = dull_colour(rng, 0.4, 0.8)
    columns = (0.3, lambda r: furniture.column(r, colour, 0.2))
    row(c, rng, c.free, rng.uniform(3, 7), (columns, (0.2, furniture.bench)))
    decals(c, rng, 3)


def glass(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a glass front: a room and people behind it, reflections on it."""
    room(c, rng, "slabs", "tiles", "concrete")
    back = c.free + rng.uniform(0.2, 3)
    wide = 2.02 * c.edge * back
    inside = back + rng.uniform(2, 5)
    within = c.blank()
    within.image[:] = 0.7 * c.image  # the ceiling
    within.floor(grounds.tiles(rng, "tiles") * 0.6)
    furnished = furniture.plaster(rng, 2.02 * c.edge * inside, 3.2)
    for x in np.arange(0, 2 * c.edge * inside, 2):
        thing = (
            props.shelf(rng, 1.5, 2.0) if rng.random() < 0.5 else props.sign(rng, 1, 1)
        )
        props.paste(furnished, thing, x, 1.2)
    within.wall(furnished * np.float32([0.7, 0.7, 0.7, 1]), inside, 3.2)
    people(within, rng, strangers, int(rng.integers(0, 6)), inside - c.free)
    c.where_floor(within.image, lambda x, z: z - back)
    above = len(c.image) - len(c.ground_points()[1])
    c.image[:above] = within.image[:above]
    c.wall(np.full((8, 8, 4), 0.12, np.float32) * rng.uniform(0.5, 1.5), back, 3.2)
    ghost = furniture.facade(rng, wide, 5.0)  # what is behind the camera
    c.wall(np.clip(ghost, 0, 1), back, 3.2, opacity=rng.uniform(0.15, 0.4))
    frame = props.blank(wide, 3.2)
    colour, step = dull_colour(rng, 0.1, 0.7), rng.uniform(0.9, 2.4)
    for x in np.arange(rng.uniform(0, step), wide, step):
        props.box(frame, x, 0, 0.07, 3.2, colour)
    for y in (0, rng.uniform(0.8, 2.2), 3.05):
        props.box(frame, 0, y, wide, 0.1, colour)
    c.wall(frame, back, 3.2, mirrored=0.2)
    decals(c, rng, 4)
