"""Scenes of a town: a street, a square, a car park, a yard."""

import cv2
import numpy as np

from mbnet_jax.synthetic.scenes import furniture, props
from mbnet_jax.synthetic.scenes.canvas import Canvas
from mbnet_jax.synthetic.scenes.staging import (
    Strangers,
    along,
    daylight,
    decals,
    lay,
    people,
    row,
    sky,
    stand,
)
from mbnet_jax.synthetic.textures import bright_colour, dull_colour


def street(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a pavement, a road with parked cars, and the fronts of houses."""
    sky(c, rng)
    road, kerb = c.free + rng.uniform(0, 1), rng.uniform(3.5, 7)
    lay(c, rng, "asphalt")
    for z in (road + 0.5, road + kerb * 0.5):
        if rng.random() < 0.7:
            for x in along(c, rng, z, rng.uniform(2, 4)):
                c.stripe(((x, z), (x + 1.3, z)), 0.12, (0.85, 0.85, 0.82))
    if rng.random() < 0.4:  # a crossing
        x = rng.uniform(-0.5, 0.5) * c.edge * road
        for k in range(6):
            c.stripe(((x + k, road), (x + k, road + kerb)), 0.5, (0.85, 0.85, 0.83))
    pavement = c.blank()
    lay(pavement, rng, "slabs", "cobbles", "concrete", "slabs")
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
    things = (
        (0.3, _pole),
        (0.2, props.tree),
        (0.2, furniture.litter_bin),
        (0.1, furniture.bicycle),
    )
    row(c, rng, road - 0.2, rng.uniform(2.5, 8), things)
    decals(c, rng, 5)
    daylight(c, rng)


def _pole(rng: np.random.Generator) -> np.ndarray:
    image = props.blank(0.12, 4.0)
    props.box(image, 0, 0, 0.12, 4.0, dull_colour(rng, 0.15, 0.5))
    return image


def crowd(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a square or a street full of other people."""
    sky(c, rng)
    lay(c, rng, "slabs", "cobbles", "concrete", "asphalt", "tiles")
    back = c.free + rng.uniform(4, 10)
    if rng.random() < 0.7:
        c.wall(furniture.facade(rng, 2.02 * c.edge * back, 5.0), back, 5.0)
    else:
        c.wall(props.bush(rng, 2.02 * c.edge * back, 4.0), back, 4.0)
    if rng.random() < 0.6:
        for x in along(c, rng, back, 4):
            c.upright(_stall(rng), x, back - 0.5, (2.6, 2.4))
    people(c, rng, strangers, int(rng.integers(14, 30)), back - c.free - 0.3)
    decals(c, rng, 3)
    daylight(c, rng)


def _stall(rng: np.random.Generator) -> np.ndarray:
    image = props.blank(2.6, 2.4)
    goods = props.shelf(rng, 2.4, 0.7)
    props.paste(image, goods, 0.1, 1.3)
    props.box(image, 0.1, 1.9, 2.4, 0.5, bright_colour(rng))
    one, two = bright_colour(rng), (0.9, 0.9, 0.88)
    for k in range(13):
        props.box(image, 0.2 * k, 0.0, 0.2, 0.5, one if k % 2 else two)
    return image


def car_park(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints rows of parked cars, marked bays and lamp posts."""
    sky(c, rng)
    lay(c, rng, "asphalt", "concrete", "asphalt")
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
    row(c, rng, c.free, rng.uniform(6, 14), ((1.0, _lamp_post),))
    decals(c, rng, 4)
    daylight(c, rng)


def _lamp_post(rng: np.random.Generator) -> np.ndarray:
    image = props.blank(0.3, 3.5)
    props.box(image, 0.08, 0, 0.12, 3.5, dull_colour(rng, 0.4, 0.7))
    yellow = rng.random() < 0.5
    props.box(image, 0, 2.7, 0.3, 0.8, (0.75, 0.6, 0.1) if yellow else (0.5,) * 3)
    return image


def yard(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a yard: containers, a wall with graffiti, pallets, barriers."""
    sky(c, rng)
    lay(c, rng, "concrete", "gravel", "asphalt", "sand")
    back = c.free + rng.uniform(3, 9)
    wide = 2.02 * c.edge * back
    wall = furniture.plaster(rng, wide, 4.0)
    for _ in range(int(wide)):
        _graffito(wall, rng)
    c.wall(wall, back, 4.0)
    z = rng.uniform(c.free + 1, back)
    for x in along(c, rng, z, rng.uniform(3, 7)):
        if rng.random() < 0.6:
            stand(c, _container(rng), x, z)
    people(c, rng, strangers, int(rng.integers(0, 3)), back - c.free)
    barriers, things = (0.3, _barrier), ((0.3, _pallets), (0.2, furniture.litter_bin))
    row(c, rng, c.free + 0.3, rng.uniform(2, 4), (barriers, *things))
    decals(c, rng, 8)
    daylight(c, rng)


def _graffito(wall: np.ndarray, rng: np.random.Generator) -> None:
    colour, steps = props.solid(bright_colour(rng)), int(rng.integers(4, 20))
    start = rng.uniform((0, 60), (wall.shape[1], len(wall) - 20))
    path = start + np.cumsum(rng.normal(0, 14, (steps, 2)), 0)
    thick = int(rng.integers(1, 7))
    cv2.polylines(wall, [np.int32(path)], False, colour, thick, cv2.LINE_AA)


def _container(rng: np.random.Generator) -> np.ndarray:
    """Draws a corrugated container, 4 by 2.6 metres."""
    image = props.blank(4.0, 2.6)
    props.box(image, 0, 0, 4.0, 2.6, np.array(bright_colour(rng)) * 0.9)
    ribs = 1 + 0.16 * np.sin(np.arange(image.shape[1]) * rng.uniform(0.5, 1.2))
    image[..., :3] *= np.float32(ribs)[:, None]
    if rng.random() < 0.7:
        white = (0.85, 0.85, 0.85)
        props.write(image, rng.uniform(0.2, 2), 0.4, 0.4, 5, white, rng)
    for x in (0, 3.9):
        props.box(image, x, 0, 0.1, 2.6, image[60, 60, :3] * 0.7)
    return props.weather(image, rng, 0.08)


def _pallets(rng: np.random.Generator) -> np.ndarray:
    """Draws a stack of pallets or crates, 1.2 metres wide."""
    count = int(rng.integers(2, 9))
    image = props.blank(1.2, 0.15 * count)
    for k in range(count):
        wood = np.array([0.6, 0.48, 0.34]) * rng.uniform(0.6, 1.2)
        props.box(image, 0, 0.15 * k, 1.2, 0.15, wood * 0.25)
        props.box(image, 0, 0.15 * k, 1.2, 0.04, wood)
        for x in (0, 0.53, 1.06):
            props.box(image, x, 0.15 * k, 0.14, 0.14, wood * 0.9)
    return props.weather(image, rng, 0.08)


def _barrier(rng: np.random.Generator) -> np.ndarray:
    """Draws a striped barrier, 1.8 by 1 metres."""
    image = props.blank(1.8, 1.0)
    one = (0.75, 0.12, 0.08) if rng.random() < 0.6 else (0.85, 0.7, 0.1)
    for y in (0.05, 0.45):
        props.box(image, 0, y, 1.8, 0.22, one)
        for x in np.arange(0, 1.8, 0.4):
            corner = np.array(
                [(x, y), (x + 0.2, y), (x + 0.3, y + 0.22), (x + 0.1, y + 0.22)]
            )
            points = np.int32(corner * props.PIXELS)
            cv2.fillPoly(image, [points], props.solid((0.9, 0.9, 0.88)), cv2.LINE_AA)
    for x in (0.1, 1.6):
        props.box(image, x, 0, 0.08, 1.0, (0.4, 0.4, 0.4))
    return image
