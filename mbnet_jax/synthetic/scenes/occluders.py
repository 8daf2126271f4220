"""Things in front of the person, drawn with textures."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from mbnet_jax.synthetic.scenes import furniture, props
from mbnet_jax.synthetic.textures import bright_colour, dull_colour

_METRES = 2.05  # that an image shows from top to bottom, at the person's depth


def _plant(rng: np.random.Generator) -> np.ndarray:
    image = props.blank(1.1, 1.4)
    pot = np.array(bright_colour(rng)) * 0.8
    props.box(image, 0.3, 0.95, 0.5, 0.45, pot)
    props.box(image, 0.26, 0.92, 0.58, 0.1, pot * 1.1)
    props.paste(image, props.bush(rng, 1.1, 1.05), 0, 0)
    return image


def _trolley(rng: np.random.Generator) -> np.ndarray:
    """Draws a shopping trolley, 1 by 1.05 metres."""
    image = props.blank(1.0, 1.05)
    goods = props.shelf(rng, 0.8, 0.3)
    if rng.random() < 0.7:
        props.paste(image, goods, 0.12, rng.uniform(0.15, 0.3))
    steel = dull_colour(rng, 0.45, 0.75)
    for x in np.arange(0.05, 0.98, 0.08):
        props.box(image, x, 0.2, 0.02, 0.42, steel)
    for y in (0.18, 0.32, 0.46, 0.6):
        props.box(image, 0.04, y, 0.93, 0.03, steel)
    for x in (0.15, 0.8):
        props.box(image, x, 0.62, 0.03, 0.33, steel * 0.8)
        dark = props.solid((0.07,) * 3)
        cv2.circle(image, props.pixels(x, 0.97), 4, dark, -1, cv2.LINE_AA)
    props.box(image, 0.1, 0.85, 0.8, 0.04, steel * 0.7)
    props.box(image, 0.0, 0.08, 0.1, 0.06, bright_colour(rng))
    return image if rng.random() < 0.5 else image[:, ::-1]


def _bag(rng: np.random.Generator) -> np.ndarray:
    """Draws a suitcase with its handle, 0.5 by 1 metres."""
    image = props.blank(0.5, 1.0)
    colour = np.array(bright_colour(rng))
    for x in (0.14, 0.33):
        props.box(image, x, 0, 0.03, 0.4, (0.4, 0.4, 0.42))
    props.box(image, 0.14, 0, 0.22, 0.04, (0.1, 0.1, 0.1))
    props.box(image, 0.02, 0.34, 0.46, 0.6, colour)
    for y in np.linspace(0.4, 0.86, int(rng.integers(2, 7))):
        props.box(image, 0.02, y, 0.46, 0.025, colour * 0.75)
    for x in (0.06, 0.36):
        props.box(image, x, 0.94, 0.08, 0.06, (0.06, 0.06, 0.06))
    return props.weather(image, rng, 0.06)


def _umbrella(rng: np.random.Generator) -> np.ndarray:
    """Draws an open umbrella without the person who holds it, 1.1 by 1.1 metres."""
    image = props.blank(1.1, 1.1)
    props.box(image, 0.54, 0.1, 0.025, 1.0, (0.2, 0.2, 0.2))
    x = np.linspace(-1, 1, image.shape[1])[None]
    y = np.linspace(0, 1.1, len(image))[:, None]
    ribs = np.abs(np.sin(x * 1.5 * np.pi))
    cover = (y > 0.02 + 0.33 * x**2) & (y < 0.36 + 0.06 * ribs)
    colour = np.float32(bright_colour(rng))
    if rng.random() < 0.3:
        colour = np.where((x[0, :, None] * 3 % 2) < 1, colour, np.float32(0.9))
    shade = np.float32(0.75 + 0.35 * np.cos(2 * x + 0.6) * (1 - 0.2 * ribs))
    cloth = np.broadcast_to(colour, (image.shape[1], 3)) * shade[0, :, None]
    cloth = np.column_stack([np.clip(cloth, 0, 1), np.ones(len(cloth))])
    image[cover] = np.broadcast_to(np.float32(cloth), image.shape)[cover]
    return image


def _sign(rng: np.random.Generator) -> np.ndarray:
    return props.sign(rng, rng.uniform(0.5, 0.9), rng.uniform(0.8, 1.3))


# How each is drawn; how much nearer it is than the person; where its lower edge is,
# as a share of the image's height.
_Thing = tuple[
    Callable[[np.random.Generator], np.ndarray],
    tuple[float, float],
    tuple[float, float],
]
_THINGS: dict[str, _Thing] = {
    "plant": (_plant, (1.0, 1.5), (0.98, 1.25)),
    "car": (props.car, (1.0, 1.3), (1.02, 1.3)),
    "trolley": (_trolley, (1.0, 1.3), (0.98, 1.15)),
    "umbrella": (_umbrella, (1.0, 1.5), (0.45, 0.8)),
    "bicycle": (furniture.bicycle, (1.0, 1.4), (0.98, 1.2)),
    "bench": (furniture.bench, (1.0, 1.4), (0.98, 1.15)),
    "bag": (_bag, (1.0, 1.3), (0.97, 1.1)),
    "sign": (_sign, (1.0, 1.4), (0.97, 1.2)),
}


def draw_thing(
    what: str,
    strangers: Sequence[np.ndarray],
    image: np.ndarray,
    label: np.ndarray,
    light: float,
    rng: np.random.Generator,
) -> None:
    """Draws a thing, or a person, in front of the person, in place.

    Args:
      what: "person" or a key of _THINGS.
      strangers: figures as in `scene.draw_scene`, at least one.
      image: float32 [h, w, 3].
      label: uint8 [h, w], set to background where the thing is.
      light: how bright white is.
      rng: the image's random stream.
    """
    height, width = label.shape
    if what == "person":
        thing = strangers[rng.integers(len(strangers))].astype(np.float32) / 255
        thing = thing[:, ::-1] if rng.random() < 0.5 else thing
        nearer, low = rng.uniform(1.05, 1.4), rng.uniform(1.02, 1.35)
        metres = 2.1
    else:
        make, near, lowest = _THINGS[what]
        thing = make(rng)
        nearer, low = rng.uniform(*near), rng.uniform(*lowest)
        metres = len(thing) / props.PIXELS
    scale = metres / len(thing) * nearer * height / _METRES  # pixels per texel
    if scale < 0.7:
        thing = cv2.resize(
            thing, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
        scale = 1.0
    # A column of the person, and one of the thing that shall cover it.
    seen = np.flatnonzero(label.any(0))
    seen = seen if len(seen) else np.arange(width)
    mine = np.flatnonzero(thing[..., 3].sum(0) > 0.15 * len(thing))
    column = seen[0] + rng.uniform(0.1, 0.9) * (seen[-1] - seen[0])
    cover = mine[0] + rng.uniform(0.1, 0.9) * (mine[-1] - mine[0])
    shift = (column - scale * cover, low * height - scale * len(thing))
    matrix = np.float32([[scale, 0, shift[0]], [0, scale, shift[1]]])
    part = cv2.warpAffine(np.ascontiguousarray(thing), matrix, (width, height))
    part = np.clip(cv2.GaussianBlur(part, (0, 0), 0.4 * height / 128), 0, 1)
    part[..., :3] *= np.float32(0.9 * light)
    props.composite(image, part)
    label[part[..., 3] > 0.5] = 0
