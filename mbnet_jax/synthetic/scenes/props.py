"""Things that stand in scenes: plants, vehicles, signs, shelves, furniture.

Each function draws one thing, seen from its side, at PIXELS per metre: float32
[h, w, 4], RGB premultiplied with alpha, and alpha.
"""

import cv2
import numpy as np

from mbnet_jax.synthetic import noise
from mbnet_jax.synthetic.textures import bright_colour, dull_colour

PIXELS = 50
_AA = cv2.LINE_AA


def blank(wide: float, tall: float) -> np.ndarray:
    """Returns a transparent picture of a size in metres."""
    return np.zeros((round(tall * PIXELS), round(wide * PIXELS), 4), np.float32)


def solid(colour: np.ndarray | tuple[float, ...]) -> tuple[float, ...]:
    """Returns an opaque colour of `blank`'s format."""
    return (*np.clip(colour, 0, 1).tolist(), 1.0)


def pixels(*metres: float) -> tuple[int, ...]:
    """Converts metres to pixels."""
    return tuple(round(m * PIXELS) for m in metres)


def box(image: np.ndarray, x: float, y: float, w: float, h: float, colour) -> None:
    """Fills a rectangle, in metres from the top left corner, in place."""
    first, last = pixels(x, y), pixels(x + w, y + h)
    colour = solid(colour)[: image.shape[2]]
    cv2.rectangle(image, first, (last[0] - 1, last[1] - 1), colour, -1)


def composite(image: np.ndarray, layer: np.ndarray) -> None:
    """Puts a layer over an image, in place.

    Args:
      image: float32 [h, w, 3] or [h, w, 4].
      layer: float32 [h, w, 4], of `blank`'s format.
    """
    image *= 1 - layer[..., 3:]
    image += layer[..., : image.shape[2]]


def paste(image: np.ndarray, thing: np.ndarray, x: float, y: float) -> None:
    """Puts a thing with alpha on an image, metres from the top left, in place."""
    column, row = pixels(x, y)
    rows, columns = image.shape[:2]
    top, left = max(row, 0), max(column, 0)
    low, right = min(row + thing.shape[0], rows), min(column + thing.shape[1], columns)
    if low <= top or right <= left:
        return
    part = thing[top - row : low - row, left - column : right - column]
    composite(image[top:low, left:right], part)


def write(
    image: np.ndarray, x: float, y: float, size: float, length: int, colour, rng
) -> None:
    """Writes what looks like letters of a height in metres, (x, y) is the top left."""
    strokes = rng.random((5, 4 * length)) < 0.6
    strokes[:, 3::4] = False
    rows, columns = pixels(size, 0.7 * size * length)
    column, row = pixels(x, y)
    columns = min(columns, image.shape[1] - column)
    rows = min(rows, image.shape[0] - row)
    if min(rows, columns) < 1:
        return
    ink = strokes.astype(np.float32)
    ink = cv2.resize(ink, (columns, rows), interpolation=cv2.INTER_AREA)[..., None]
    region = image[row : row + rows, column : column + columns]
    region += ink * (np.float32(solid(colour)[: image.shape[2]]) - region)


def weather(image: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
    """Varies the lightness of a thing, more below, where it is dirty; in place."""
    uneven = noise.field(rng, image.shape[:2], (3, 8, 24))
    dirt = np.linspace(0, 1, len(image), dtype=np.float32)[:, None] ** 3
    image[..., :3] *= (1 + amount * uneven - 1.5 * amount * dirt)[..., None]
    np.clip(image[..., :3], 0, 1, out=image[..., :3])
    return image


def leaves(
    rng: np.random.Generator, shape: np.ndarray, colours=None, fine: float = 6.0
) -> np.ndarray:
    """Draws foliage where noise exceeds 1 - shape, float [h, w] of about 0..1."""
    if colours is None:
        green = np.array([[0.05, 0.09, 0.03], [0.16, 0.25, 0.08], [0.38, 0.46, 0.2]])
        colours = green * np.exp(rng.normal(0, 0.15, 3)) * rng.uniform(0.7, 1.2)
    size = max(shape.shape)
    cells = (size // 40 + 2, size // 14 + 2, int(size / fine) + 2)
    lumps = noise.field(rng, shape.shape, cells, falloff=0.9)
    shine = noise.field(rng, shape.shape, (4, *cells), falloff=0.95)
    alpha = np.clip((shape + 0.28 * lumps - 0.5) * 4, 0, 1).astype(np.float32)
    colour = noise.mixed(rng, colours, shine + 0.5 * lumps)
    return np.dstack([np.clip(colour, 0, 1) * alpha[..., None], alpha])


def bush(rng: np.random.Generator, wide: float, tall: float) -> np.ndarray:
    """Draws a bush, or a hedge where it is wide."""
    rows, columns = blank(wide, tall).shape[:2]
    y = np.linspace(1, 0, rows)[:, None]
    x = np.linspace(-1, 1, columns)[None]
    return leaves(rng, 1.15 - 0.75 * y**3 - 0.75 * np.abs(x) ** (2 + 2 * wide))


def tree(rng: np.random.Generator) -> np.ndarray:
    """Draws the trunk of a tree and the lower part of its crown, 3 by 4.5 metres."""
    image = blank(3.0, 4.5)
    bark = np.float32(rng.uniform(0.5, 1.1) * np.array([0.32, 0.26, 0.2]))
    half, lean = rng.uniform(0.08, 0.22), rng.normal(0, 0.12)
    outline = [(1.5 - half, 4.5), (1.5 + half, 4.5)]
    outline += [(1.5 + lean + 0.7 * half, 0), (1.5 + lean - 0.7 * half, 0)]
    points = np.int32(np.array(outline) * PIXELS)
    cv2.fillPoly(image, [points], solid(bark), _AA)
    rough = noise.field(rng, image.shape[:2], (20, 60))
    image[..., :3] *= (1 + 0.2 * rough)[..., None]
    rows, columns = image.shape[:2]
    y = np.linspace(0, 4.5, rows)[:, None]
    x = np.linspace(-1.5, 1.5, columns)[None]
    crown = leaves(rng, 1.3 - 0.3 * (y / rng.uniform(0.8, 2.0)) ** 2 - 0.25 * x**2)
    return crown + image * (1 - crown[..., 3:])


def car(rng: np.random.Generator) -> np.ndarray:
    """Draws a parked car from its side, 4.4 by 1.6 metres."""
    image = blank(4.4, 1.6)
    paint = np.array(
        bright_colour(rng) if rng.random() < 0.5 else dull_colour(rng, 0.08, 0.9)
    )
    roof, bonnet = rng.uniform(0.05, 0.25), rng.uniform(0.6, 0.75)
    rear = rng.uniform(3.4, 4.2)
    body = [(0.05, 1.3), (0.1, bonnet + 0.1), (1.1, bonnet), (1.75, roof)]
    body += [(3.1, roof), (rear, bonnet - 0.02), (4.3, bonnet + 0.05), (4.35, 1.3)]
    cv2.fillPoly(image, [np.int32(np.array(body) * PIXELS)], solid(paint), _AA)
    glass = solid(np.array([0.12, 0.15, 0.18]) * rng.uniform(0.6, 2.2))
    for left in (
        [(1.25, bonnet), (1.8, roof + 0.08), (2.35, roof + 0.08), (2.35, bonnet)],
        [
            (2.45, bonnet),
            (2.45, roof + 0.08),
            (3.05, roof + 0.08),
            (rear - 0.2, bonnet),
        ],
    ):
        cv2.fillPoly(image, [np.int32(np.array(left) * PIXELS)], glass, _AA)
    shade = np.interp(
        np.linspace(0, 1.6, len(image)), (0, 0.5, 0.75, 1.4), (1.1, 1, 1.1, 0.6)
    )
    image[..., :3] *= np.float32(shade)[:, None, None]
    for x in (1.2, 2.4):
        dark = solid(paint * 0.5)
        cv2.line(image, pixels(x, bonnet), pixels(x, 1.25), dark, 1, _AA)
    for x in (0.9, 3.5):
        cv2.circle(image, pixels(x, 1.25), pixels(0.33)[0], solid((0.05,) * 3), -1, _AA)
        rim = solid(dull_colour(rng, 0.3, 0.7))
        cv2.circle(image, pixels(x, 1.25), pixels(0.2)[0], rim, -1, _AA)
    box(image, 0.08, bonnet + 0.15, 0.2, 0.12, (0.9, 0.88, 0.8))
    box(image, 4.15, bonnet + 0.12, 0.18, 0.15, (0.6, 0.1, 0.08))
    return image if rng.random() < 0.5 else image[:, ::-1].copy()


def sign(rng: np.random.Generator, wide: float, tall: float) -> np.ndarray:
    """Draws a sign or poster: a coloured ground, shapes, and lines of letters."""
    image = blank(wide, tall)
    ground = np.array(bright_colour(rng))
    box(image, 0, 0, wide, tall, ground)
    ink = np.ones(3) * (0.95 if ground.mean() < 0.5 else 0.08)
    if rng.random() < 0.6:
        x, y = rng.uniform(0, 0.5, 2) * (wide, tall)
        box(image, x, y, wide * 0.45, tall * 0.4, bright_colour(rng))
    if rng.random() < 0.4:
        at = pixels(*(rng.uniform(0.2, 0.8, 2) * (wide, tall)))
        radius = pixels(0.25 * min(wide, tall))[0]
        cv2.circle(image, at, radius, solid(bright_colour(rng)), -1, _AA)
    lines = int(rng.integers(1, 5))
    for k in range(lines):
        size = min(tall / lines * rng.uniform(0.3, 0.6), 0.3 * wide)
        length = max(1, int(rng.uniform(0.5, 1.2) * wide / size))
        write(image, 0.06 * wide, (k + 0.2) * tall / lines, size, length, ink, rng)
    return weather(image, rng, 0.04)


def shelf(rng: np.random.Generator, wide: float, tall: float = 2.0) -> np.ndarray:
    """Draws shelves full of products."""
    image = blank(wide, tall)
    box(image, 0, 0, wide, tall, dull_colour(rng, 0.08, 0.3))
    y, board = 0.0, dull_colour(rng, 0.5, 0.95)
    while y < tall - 0.2:
        high = min(rng.uniform(0.22, 0.48), tall - y)
        x = 0.0
        while x < wide:
            colour, w = np.array(bright_colour(rng)), rng.uniform(0.07, 0.2)
            h, count = rng.uniform(0.5, 0.92) * high, int(rng.integers(1, 8))
            for _ in range(count):  # several of a kind, side by side
                shade = colour * rng.uniform(0.75, 1.2)
                box(image, x, y + high - h, w * 0.92, h, shade)
                band = np.clip(1.2 - colour, 0, 1)
                box(image, x, y + high - 0.6 * h, w * 0.92, 0.25 * h, band)
                x += w
                if x > wide:
                    break
        box(image, 0, y + high - 0.03, wide, 0.05, board)
        for k in range(int(wide / 0.3)):  # price tags
            box(image, 0.3 * k + 0.1, y + high - 0.03, 0.1, 0.04, (0.95, 0.9, 0.6))
        y += high + 0.03
    return weather(image, rng, 0.06)
