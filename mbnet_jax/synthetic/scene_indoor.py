"""Scenes under a roof. Each function paints one on a `Canvas`."""

import numpy as np

from mbnet_jax.synthetic import furniture, grounds, noise, props
from mbnet_jax.synthetic.canvas import Canvas
from mbnet_jax.synthetic.scene_outdoor import Strangers, along, people, stand
from mbnet_jax.synthetic.textures import bright_colour, dull_colour


def _room(c: Canvas, rng: np.random.Generator, *kinds: str) -> None:
    grey = rng.uniform(0.3, 0.8)
    c.fill((grey,) * 3, (grey * 0.9,) * 3)
    kind = rng.choice(kinds)
    paved = kind in ("slabs", "tiles", "cobbles", "planks")
    make = grounds.tiles if paved else grounds.loose
    c.floor(make(rng, kind), rng.uniform(0, 8, 2))


def _lamps(c: Canvas, rng: np.random.Generator, strength: float) -> None:
    """Paints the reflections of lamps in a smooth floor."""
    step, long = rng.uniform(1.8, 4), rng.uniform(0.3, 1.2)
    for z in np.arange(0.5 * c.far, 2.2 * c.far, rng.uniform(2, 4)):
        for x in along(c, rng, z, step):
            c.shade(x, z, (0.25, long), -strength)


def hall(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a hall: a smooth floor with reflections, columns, signs and doors."""
    _room(c, rng, "tiles", "slabs", "lino")
    shine = rng.uniform(0.05, 0.3)
    back = c.free + rng.uniform(0.5, 8)
    wide = 2.02 * c.edge * back
    wall = furniture.plaster(rng, wide, 4.0)
    x = rng.uniform(0, 1)
    while x < wide:
        pick = rng.random()
        if pick < 0.35:
            w, h = rng.uniform(0.6, 2.2), rng.uniform(0.4, 1.3)
            furniture.paste(wall, props.sign(rng, w, h), x, rng.uniform(1.2, 2.6) - 0.4)
        elif pick < 0.55:
            furniture.paste(wall, furniture.door(rng), x, 1.8)
        elif pick < 0.75:
            furniture.paste(wall, furniture.window(rng, 2.2, 2.6), x, 1.2)
        elif pick < 0.85:  # a lit machine
            furniture.paste(wall, props.shelf(rng, 1.0, 1.8), x, 2.1)
        x += rng.uniform(1.2, 3)
    c.wall(wall, back, 4.0, mirrored=shine)
    people(c, rng, strangers, int(rng.integers(0, 7)), back - c.free)
    columns = dull_colour(rng, 0.35, 0.85)
    if rng.random() < 0.7:
        z = c.free + rng.uniform(0, 0.8) * (back - c.free)
        half = rng.uniform(0.2, 0.5)
        for x in along(c, rng, z, rng.uniform(3, 6)):
            stand(c, _column(rng, columns, half), x, z, mirrored=shine)
    for x in along(c, rng, c.free, rng.uniform(2.5, 6)):
        pick = rng.random()
        if pick < 0.25:
            stand(c, furniture.bench(rng), x, c.free, mirrored=shine)
        elif pick < 0.4:
            stand(c, furniture.bin_(rng), x, c.free, mirrored=shine)
        elif pick < 0.5:
            stand(c, props.sign(rng, 0.7, 1.6), x, c.free, mirrored=shine)
        elif pick < 0.6:
            stand(c, props.bush(rng, 0.8, 1.5), x, c.free, mirrored=shine)
    _lamps(c, rng, 2 * shine)


def _column(rng: np.random.Generator, colour: np.ndarray, half: float) -> np.ndarray:
    image = props.blank(2 * half, 4.0)
    props.box(image, 0, 0, 2 * half, 4.0, colour)
    turn = np.linspace(-1.3, 1.3, image.shape[1]) + rng.uniform(-0.4, 0.4)
    image[..., :3] *= np.float32(0.35 + 0.7 * np.cos(turn))[:, None]
    return props.weather(image, rng, 0.03)


def shop(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints the shelves of a shop, facing the camera or forming an aisle."""
    _room(c, rng, "lino", "tiles", "tiles", "planks")
    shine, back = rng.uniform(0.05, 0.25), c.free + rng.uniform(0.3, 7)
    wide = 2.02 * c.edge * back
    c.wall(props.shelf(rng, wide, 2.2), back, 2.2, mirrored=shine)
    wall = furniture.plaster(rng, wide, 1.5)
    for x in np.arange(0.3, wide, rng.uniform(1.5, 3)):
        furniture.paste(wall, props.sign(rng, 1.3, 0.6), x, 0.6)
    c.upright(wall, 0, back, (wide, 1.5), y=2.2)
    aisle = rng.random() < 0.6
    if aisle:
        half = rng.uniform(1.2, 3.0)
        for side in (-1, 1):
            goods = props.shelf(rng, back - c.free + 4, 1.8)
            x, first = side * half, max(c.free - 4, 0.5 * c.far)
            if c.edge * back > half:
                ends = (first, back) if side > 0 else (back, first)
                _side(c, goods, x, ends, 1.8)
    else:
        for x in along(c, rng, c.free, rng.uniform(2.2, 4)):
            pick = rng.random()
            if pick < 0.4:
                stand(c, props.shelf(rng, 1.4, 1.3), x, c.free + 0.2, mirrored=shine)
            elif pick < 0.7:
                stand(c, _rack(rng), x, c.free + 0.2, mirrored=shine)
    people(c, rng, strangers, int(rng.integers(0, 4)), back - c.free)
    _lamps(c, rng, shine)


def _side(
    c: Canvas, texture: np.ndarray, x: float, ends: tuple[float, float], high: float
) -> None:
    """Paints a wall along the viewing direction, from depth ends[0] to ends[1]."""
    a, b = ends
    c.quad(texture, [(x, high, a), (x, high, b), (x, 0, b), (x, 0, a)])


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
    _room(c, rng, "slabs", "concrete", "tiles", "asphalt")
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
            furniture.paste(wall, props.sign(rng, 2.0, 1.3), x, rng.uniform(1.5, 2.5))
        pit = c.blank()
        pit.floor(grounds.loose(rng, "gravel") * 0.5)
        c.where_floor(pit.image, lambda x, z: z - edge)
        for z in (edge + 1.0, edge + 2.4):
            c.stripe(((-2 * half, z), (2 * half, z)), 0.09, (0.5, 0.47, 0.45), 1.0)
        c.upright(wall, 0, back, (wide, 5.0), y=-1.1)
    people(c, rng, strangers, int(rng.integers(0, 7)), edge - c.free - 0.5)
    for x in along(c, rng, c.free, rng.uniform(3, 7)):
        pick = rng.random()
        if pick < 0.3:
            column = _column(rng, dull_colour(rng, 0.4, 0.8), 0.2)
            stand(c, column, x, c.free)
        elif pick < 0.5:
            stand(c, furniture.bench(rng), x, c.free)


def corridor(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a corridor in perspective, with doors on both sides."""
    _room(c, rng, "lino", "carpet", "tiles", "planks")
    shine, back = rng.uniform(0.0, 0.25), c.far * rng.uniform(1.5, 3.0)
    # Wide enough for the walkers; the picture shows it from its middle to its walls.
    half = rng.uniform(0.55, 0.95) * c.edge * c.free
    colour = dull_colour(rng, 0.4, 0.85)
    end = furniture.plaster(rng, 2 * half + 0.2, 3.0, colour)
    furniture.paste(end, furniture.door(rng), rng.uniform(0, half), 0.8)
    furniture.paste(end, furniture.window(rng, 1.2, 2.0), half + 0.2, 0.9)
    c.upright(end, 0, back, (2 * half, 3.0), mirrored=shine)
    first = max(half / c.edge * 0.98, 1.0)
    for side in (-1, 1):
        wall = furniture.plaster(rng, back - first, 3.0, colour)
        band = rng.uniform(0.8, 1.3)
        if rng.random() < 0.5:
            a = props.pixels(3.0 - band)[0]
            wall[a:, :, :3] *= np.float32(dull_colour(rng, 0.5, 0.9))
        for at in np.arange(rng.uniform(0.2, 1.5), back - first - 1, 2.6):
            furniture.paste(wall, furniture.door(rng), at, 0.8)
            if rng.random() < 0.5:
                furniture.paste(wall, props.sign(rng, 0.6, 0.8), at + 1.5, 1.2)
        props.box(wall, 0, 2.88, back - first, 0.12, colour * 0.5)
        ends = (first, back) if side > 0 else (back, first)
        if side < 0:
            wall = wall[:, ::-1]
        a, b = ends
        c.quad(
            np.ascontiguousarray(wall) * np.float32([0.85, 0.85, 0.85, 1]),
            [
                (side * half, 3, min(a, b)),
                (side * half, 3, max(a, b)),
                (side * half, 0, max(a, b)),
                (side * half, 0, min(a, b)),
            ],
        )
    people(c, rng, strangers, int(rng.integers(0, 3)), back - c.free)
    for z in np.arange(0.6 * c.far, back, rng.uniform(2, 3)):
        c.shade(0, z, (0.5, 0.5), -rng.uniform(0.1, 0.4))


def stairs(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a flight of steps behind the person, with handrails."""
    _room(c, rng, "concrete", "slabs", "tiles", "asphalt")
    rise, tread = rng.uniform(0.14, 0.18), rng.uniform(0.28, 0.4)
    colour = dull_colour(rng, 0.4, 0.7)
    count = int(rng.integers(8, 20))
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
        if rng.random() < 0.9:
            top[-4:] *= rng.choice((0.7, 1.25)) if k % 1 == 0 else 1
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


def glass(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a glass front: a room and people behind it, reflections on it."""
    _room(c, rng, "slabs", "tiles", "concrete")
    back = c.free + rng.uniform(0.2, 3)
    wide = 2.02 * c.edge * back
    inside = back + rng.uniform(2, 5)
    room = c.blank()
    room.floor(grounds.tiles(rng, "tiles") * 0.6)
    furnished = furniture.plaster(rng, 2.02 * c.edge * inside, 3.2)
    for x in np.arange(0, 2 * c.edge * inside, 2):
        thing = (
            props.shelf(rng, 1.5, 2.0) if rng.random() < 0.5 else props.sign(rng, 1, 1)
        )
        furniture.paste(furnished, thing, x, 1.2)
    room.wall(furnished * np.float32([0.7, 0.7, 0.7, 1]), inside, 3.2)
    people(room, rng, strangers, int(rng.integers(0, 6)), inside - c.free)
    c.where_floor(room.image, lambda x, z: z - back)
    above = len(c.image) - len(c._ground_points()[1])
    c.image[:above] = room.image[:above]
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
