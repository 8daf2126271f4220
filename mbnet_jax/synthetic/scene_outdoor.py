"""Scenes under the open sky. Each function paints one on a `Canvas`."""

from collections.abc import Sequence

import numpy as np

from mbnet_jax.synthetic import furniture, grounds, noise, props
from mbnet_jax.synthetic.canvas import Canvas
from mbnet_jax.synthetic.textures import bright_colour, dull_colour

Strangers = Sequence[np.ndarray]  # see `scenes.draw_scene`


def _sky(c: Canvas, rng: np.random.Generator) -> None:
    grey = rng.uniform(0.75, 0.95)
    c.fill((grey * 0.93, grey * 0.97, grey), (0.8, 0.8, 0.78))


def _ground(c: Canvas, rng: np.random.Generator, *kinds: str) -> None:
    kind = rng.choice(kinds)
    paved = kind in ("slabs", "tiles", "cobbles", "planks")
    make = grounds.tiles if paved else grounds.loose
    c.floor(make(rng, kind), rng.uniform(0, 8, 2))


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


def street(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a pavement, a road with parked cars, and the fronts of houses."""
    _sky(c, rng)
    road, kerb = c.free + rng.uniform(0, 1), rng.uniform(3.5, 7)
    _ground(c, rng, "asphalt")
    for z in (road + 0.5, road + kerb * 0.5):
        if rng.random() < 0.7:
            for x in along(c, rng, z, rng.uniform(2, 4)):
                c.stripe(((x, z), (x + 1.3, z)), 0.12, (0.85, 0.85, 0.82))
    if rng.random() < 0.4:  # a crossing
        x = rng.uniform(-0.5, 0.5) * c.edge * road
        for k in range(6):
            c.stripe(((x + k, road), (x + k, road + kerb)), 0.5, (0.85, 0.85, 0.83))
    pavement = c.blank()
    _ground(pavement, rng, "slabs", "cobbles", "concrete", "slabs")
    c.where_floor(pavement.image, lambda x, z: np.abs(z - road - kerb / 2) - kerb / 2)
    for z in (road, road + kerb):
        half = c.edge * z + 1
        c.stripe(((-half, z), (half, z)), 0.18, dull_colour(rng, 0.5, 0.75), 1.0)
    back = road + kerb + rng.uniform(1.0, 3.5)
    c.wall(furniture.facade(rng, 2.02 * c.edge * back, 6.0), back, 6.0)
    people(c, rng, strangers, int(rng.integers(0, 5)), back - c.free - 0.3)
    if rng.random() < 0.75:
        z = road + kerb - rng.uniform(0.5, 1.0)
        for x in along(c, rng, z, rng.uniform(4.8, 7)):
            if rng.random() < 0.75:
                c.shade(x, z, (2.2, 0.8), 0.6)
                c.upright(props.car(rng), x, z - 0.8, (4.4, 1.55))
    for x in along(c, rng, road, rng.uniform(2.5, 8)):
        pick = rng.random()
        if pick < 0.3:
            pole = props.blank(0.12, 4.0)
            props.box(pole, 0, 0, 0.12, 4.0, dull_colour(rng, 0.15, 0.5))
            stand(c, pole, x, road - 0.2)
        elif pick < 0.5:
            stand(c, props.tree(rng), x, road - 0.2)
        elif pick < 0.7:
            stand(c, furniture.bin_(rng), x, road - 0.2)
        elif pick < 0.8:
            stand(c, furniture.bicycle(rng), x, road - 0.2)


def vegetation(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a park: grass, a path, hedges and trees."""
    _sky(c, rng)
    _ground(c, rng, "grass")
    if rng.random() < 0.75:
        path = c.blank()
        _ground(path, rng, "gravel", "asphalt", "sand", "concrete")
        wavy = noise.field(rng, (64, 1), (3, 7, 20))[:, 0]
        half, x0, slope = rng.uniform(0.8, 2.5), rng.normal(0, 1.5), rng.normal(0, 0.5)
        c.where_floor(
            path.image,
            lambda x, z: (
                half
                - np.abs(x - x0 - slope * (z - c.far))
                + 0.08 * np.interp(z * 5 % 64, np.arange(64), wavy)
            ),
        )
    back = c.free + rng.uniform(5, 12)
    c.wall(props.bush(rng, 2.2 * c.edge * back, 4.5), back, 5.0)
    for _ in range(int(rng.integers(3, 9))):
        z = rng.uniform(c.free + 1, back)
        x = rng.uniform(-1, 1) * c.edge * z
        thing = props.tree(rng) if rng.random() < 0.6 else props.bush(rng, 1.6, 1.3)
        stand(c, thing, x, z)
    people(c, rng, strangers, int(rng.integers(0, 3)), 4)
    if rng.random() < 0.6:
        z = c.free + rng.uniform(0.2, 1.0)
        tall = rng.uniform(0.5, 1.6)
        hedge = props.bush(rng, 2.1 * c.edge * z, tall)
        c.wall(hedge, z, tall)
    for x in along(c, rng, c.free, 5):
        if rng.random() < 0.4:
            stand(c, furniture.bench(rng), x, c.free)
    for _ in range(int(rng.integers(2, 10))):  # sun through leaves, or shade
        z = rng.uniform(0.6, 1.5) * c.far
        x = rng.uniform(-1, 1) * c.edge * z
        size = tuple(rng.uniform(0.2, 1.5, 2))
        c.shade(x, z, size, rng.choice((-0.35, 0.4)))


def crowd(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a square or a street full of other people."""
    _sky(c, rng)
    _ground(c, rng, "slabs", "cobbles", "concrete", "asphalt", "tiles")
    back = c.free + rng.uniform(4, 10)
    if rng.random() < 0.7:
        c.wall(furniture.facade(rng, 2.02 * c.edge * back, 5.0), back, 5.0)
    else:
        c.wall(props.bush(rng, 2.02 * c.edge * back, 4.0), back, 4.0)
    if rng.random() < 0.6:
        for x in along(c, rng, back, 4):
            c.upright(_stall(rng), x, back - 0.5, (2.6, 2.4))
    people(c, rng, strangers, int(rng.integers(14, 30)), back - c.free - 0.3)


def _stall(rng: np.random.Generator) -> np.ndarray:
    image = props.blank(2.6, 2.4)
    goods = props.shelf(rng, 2.4, 0.7)
    furniture.paste(image, goods, 0.1, 1.3)
    props.box(image, 0.1, 1.9, 2.4, 0.5, bright_colour(rng))
    one, two = bright_colour(rng), (0.9, 0.9, 0.88)
    for k in range(13):
        props.box(image, 0.2 * k, 0.0, 0.2, 0.5, one if k % 2 else two)
    return image


def car_park(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints rows of parked cars, marked bays and lamp posts."""
    _sky(c, rng)
    _ground(c, rng, "asphalt", "concrete", "asphalt")
    back = c.free + rng.uniform(10, 16)
    if rng.random() < 0.5:
        c.wall(props.bush(rng, 2.02 * c.edge * back, 3.0), back, 3.0)
    else:
        c.wall(furniture.plaster(rng, 2.02 * c.edge * back, 4.0), back, 4.0)
    white = (0.82, 0.82, 0.78) if rng.random() < 0.8 else (0.8, 0.68, 0.2)
    rows = (c.free + 0.3, c.free + rng.uniform(6, 8))
    shift = rng.uniform(0, 5)
    for x in np.arange(-40, 40, 2.6) + shift:
        c.stripe(((x, 1.5), (x, c.far - 2.5)), 0.1, white)
    for z in rows[::-1]:
        for x in np.arange(-40, 40, 4.8) + shift:
            if abs(x) > c.edge * z + 3:
                continue
            c.stripe(((x, z - 0.3), (x, z + 2.2)), 0.12, white)
            if rng.random() < 0.7:
                c.shade(x + 2.4, z + 0.6, (2.2, 0.9), 0.6)
                c.upright(props.car(rng), x + 2.4, z + 0.2, (4.3, 1.5))
        people(c, rng, strangers, int(rng.integers(0, 2)), z - c.free)
    for x in along(c, rng, c.free, rng.uniform(6, 14)):
        pole = props.blank(0.3, 3.5)
        props.box(pole, 0.08, 0, 0.12, 3.5, dull_colour(rng, 0.4, 0.7))
        props.box(pole, 0.0, 2.7, 0.3, 0.8, rng.choice([[0.75, 0.6, 0.1], [0.5] * 3]))
        stand(c, pole, x, c.free)


def snow(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints snow: trodden paths, dark trees and fences, all bright."""
    _sky(c, rng)
    _ground(c, rng, "snow")
    for _ in range(int(rng.integers(1, 4))):
        x, slope = rng.uniform(-2, 2), rng.normal(0, 0.3)
        for z in np.arange(1.5, 25, 0.35):
            c.shade(
                x + slope * z + rng.normal(0, 0.12),
                z,
                (0.14, 0.1),
                rng.uniform(0.05, 0.2),
            )
    back = c.free + rng.uniform(4, 12)
    bare = np.array([[0.15, 0.13, 0.12], [0.45, 0.44, 0.45], [0.85, 0.87, 0.9]])
    rows, columns = props.blank(2.02 * c.edge * back, 3.5).shape[:2]
    shape = np.tile(np.linspace(0.35, 1.2, rows)[:, None], (1, columns))
    if rng.random() < 0.6:
        c.wall(props.leaves(rng, shape, bare, 4.0), back, 3.5)
    else:
        c.wall(furniture.facade(rng, 2.02 * c.edge * back, 5.0), back, 5.0)
    _fence(c, rng, c.free + rng.uniform(0.2, 2))
    for _ in range(int(rng.integers(1, 5))):
        z = rng.uniform(c.free + 0.5, back)
        stand(c, props.tree(rng), rng.uniform(-1, 1) * c.edge * z, z)
    people(c, rng, strangers, int(rng.integers(0, 4)), 3)


def _fence(c: Canvas, rng: np.random.Generator, z: float) -> None:
    wide, tall = 2.02 * c.edge * z, rng.uniform(0.9, 1.6)
    image = props.blank(wide, tall)
    colour = dull_colour(rng, 0.1, 0.6)
    step = rng.uniform(0.12, 0.5)
    for x in np.arange(0, wide, step):
        props.box(image, x, 0, rng.choice((0.04, 0.08)), tall, colour)
    for y in (0.1, tall - 0.25):
        props.box(image, 0, y, wide, 0.07, colour * 0.9)
    c.wall(image, z, tall)


def beach(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints sand, water, parasols and towels."""
    _sky(c, rng)
    _ground(c, rng, "sand")
    shore = c.free + rng.uniform(2, 8)
    water = c.blank()
    waves = noise.field(rng, (grounds.SIDE, grounds.SIDE), (6, 20, 64), falloff=0.9)
    blue = np.array([[0.1, 0.25, 0.32], [0.25, 0.42, 0.48], [0.75, 0.82, 0.83]])
    water.floor(noise.mixed(rng, blue, waves))
    c.where_floor(water.image, lambda x, z: z - shore - 0.3 * np.sin(x * 1.3))
    c.where_floor(
        np.full_like(c.image, 0.85),
        lambda x, z: 0.12 - np.abs(z - shore - 0.3 * np.sin(x * 1.3)),
    )
    for x in along(c, rng, c.free, 2.2):
        pick, z = rng.random(), c.free + rng.uniform(0, 1.5)
        if pick < 0.35:
            c.stripe(
                ((x, z), (x + rng.normal(0, 0.5), z + 1.8)), 0.8, bright_colour(rng)
            )
        elif pick < 0.6:
            stand(c, _parasol(rng), x, z)
        elif pick < 0.7:
            stand(c, props.bush(rng, 1.4, 0.8), x, z)
    people(c, rng, strangers, int(rng.integers(2, 9)), 4)


def _parasol(rng: np.random.Generator) -> np.ndarray:
    image = props.blank(2.2, 2.3)
    props.box(image, 1.07, 0.3, 0.06, 2.0, (0.85, 0.85, 0.82))
    x = np.linspace(-1, 1, image.shape[1])
    top = 0.75 * x**2
    y = np.linspace(0, 2.3, len(image))[:, None]
    cover = (y > top) & (y < 0.78)
    sectors = (np.arcsin(np.clip(x, -1, 1)) * 3).astype(int) % 2 == 0
    one, two = np.float32(bright_colour(rng)), np.float32(bright_colour(rng))
    cloth = np.where(sectors[:, None], one, two) * (1.1 - 0.35 * np.abs(x)[:, None])
    cloth = np.column_stack([cloth, np.ones(len(x))]).astype(np.float32)
    image[cover] = np.broadcast_to(cloth, image.shape)[cover]
    return image
