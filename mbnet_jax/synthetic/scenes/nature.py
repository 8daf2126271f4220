"""Scenes of plants, snow and sand."""

import numpy as np

from mbnet_jax.synthetic import noise
from mbnet_jax.synthetic.scenes import furniture, grounds, props
from mbnet_jax.synthetic.scenes.canvas import Canvas
from mbnet_jax.synthetic.scenes.staging import (
    Strangers,
    along,
    daylight,
    lay,
    people,
    sky,
    stand,
)
from mbnet_jax.synthetic.textures import bright_colour, dull_colour


def vegetation(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints a park: grass, a path, hedges and trees."""
    sky(c, rng)
    lay(c, rng, "grass")
    if rng.random() < 0.75:
        path = c.blank()
        lay(path, rng, "gravel", "asphalt", "sand", "concrete")
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


def snow(c: Canvas, rng: np.random.Generator, strangers: Strangers) -> None:
    """Paints snow: trodden paths, dark trees and fences, all bright."""
    sky(c, rng)
    lay(c, rng, "snow")
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
    daylight(c, rng)


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
    sky(c, rng)
    lay(c, rng, "sand")
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
