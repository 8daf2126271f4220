"""Draws ranked lists as one picture: queries and their nearest gallery images."""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mbnet_jax.files import write_whole
from mbnet_jax.report.fonts import Font

# Colours that also differ in lightness; the mark shows the same without colour.
RIGHT = (0, 140, 60)
WRONG = (215, 30, 45)
NEUTRAL = (70, 90, 120)
TEXT = (25, 25, 25)
BACKGROUND = (255, 255, 255)
EMPTY = (235, 235, 235)  # around an image that does not fill its cell

# Pixels.
MARGIN = 16
GAP = 10
FRAME = 5
IMAGE_WIDTH, IMAGE_HEIGHT = 128, 256
FONT_SIZE = 11
LINE = 16
MARK = 22
QUERY_GAP = 18  # between the query and its list
HEADER = 66  # title and legend

CELL_WIDTH = IMAGE_WIDTH + 2 * FRAME
CELL_HEIGHT = IMAGE_HEIGHT + 2 * FRAME + 4 * LINE + 4


@dataclasses.dataclass(frozen=True)
class RankedItem:
    """One image of a ranked list.

    Attributes:
      image: uint8 [H, W, 3], RGB, of any size.
      name: file name.
      person, camera: as printed.
      similarity: cosine similarity to the query; None for the query.
      correct: whether it is a true match; None for the query.
    """

    image: np.ndarray
    name: str
    person: str
    camera: str
    similarity: float | None = None
    correct: bool | None = None


def picture_size(longest: int, num_rows: int) -> tuple[int, int]:
    """Returns width and height in pixels, for lists of at most `longest` items."""
    cells = longest + 1
    width = 2 * MARGIN + cells * CELL_WIDTH + (cells - 1) * GAP + QUERY_GAP
    return width, HEADER + num_rows * (CELL_HEIGHT + GAP) - GAP + MARGIN


def cell_corner(row: int, column: int) -> tuple[int, int]:
    """Returns left and top of a cell; column 0 is the query, 1 the nearest image."""
    left = MARGIN + column * (CELL_WIDTH + GAP) + (QUERY_GAP if column else 0)
    return left, HEADER + row * (CELL_HEIGHT + GAP)


def draw_ranked_lists(
    path: str | Path,
    rows: Sequence[tuple[RankedItem, Sequence[RankedItem]]],
    *,
    title: str,
) -> None:
    """Writes one PNG: a row per query, with its nearest images from left to right.

    A query has a grey-blue frame, a true match a green one with a tick, and another
    person a red one with a cross. Below each image: file name, person, camera,
    similarity.

    Args:
      path: file to write.
      rows: (query, its list with the nearest image first). Lists may differ in length.
      title: printed above, for example the dataset and the rule.

    Raises:
      ValueError: if there are no rows, a list is empty, `correct` or `similarity` of
        a listed image is missing, or an image is not uint8 [H, W, 3] or is empty.
      OSError: naming the file, if it cannot be written.
    """
    if not rows:
        raise ValueError("rows is empty; give at least one query")
    for number, (query, items) in enumerate(rows):
        if not items:
            raise ValueError(f"row {number} ({query.name}) has no gallery image")
        for item in (query, *items):
            _check_image(item)
        for item in items:
            if item.correct is None or item.similarity is None:
                raise ValueError(
                    f"{item.name} in the list of {query.name} needs both "
                    "`correct` and `similarity`"
                )
    longest = max(len(items) for _, items in rows)
    picture = Image.new("RGB", picture_size(longest, len(rows)), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    _draw_header(draw, title, picture.width)
    for row, (query, items) in enumerate(rows):
        for column, item in enumerate((query, *items)):
            _draw_item(picture, draw, cell_corner(row, column), item, column)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    write_whole(Path(path), buffer.getvalue())


def _check_image(item: RankedItem) -> None:
    image = item.image
    right = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if not right or 0 in image.shape:
        raise ValueError(
            f"the image of {item.name} must be uint8 [H, W, 3] and not empty, "
            f"got {image.dtype} {list(image.shape)}"
        )


def _draw_header(draw: ImageDraw.ImageDraw, title: str, width: int) -> None:
    face = Font(FONT_SIZE + 5)
    title = face.shortened(title, width - 2 * MARGIN)
    face.draw(draw, (MARGIN, 10), title, TEXT)
    draw_legend(draw, MARGIN, 40)


def draw_legend(draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
    """Draws what the frames and marks mean, in a line 18 pixels high."""
    face = Font(FONT_SIZE)
    for colour, correct, text in (
        (NEUTRAL, None, "query"),
        (RIGHT, True, "right: same person"),
        (WRONG, False, "wrong: another person"),
    ):
        if correct is None:
            draw.rectangle((left, top, left + 17, top + 17), outline=colour, width=4)
        else:
            _draw_mark(draw, left, top, 18, correct)
        face.draw(draw, (left + 24, top + 2), text, TEXT)
        left += 24 + round(face.length(text)) + 24


def _draw_item(picture, draw, corner, item: RankedItem, rank: int) -> None:
    """Draws one cell: frame, image, mark, and four lines of caption."""
    size = (IMAGE_WIDTH, IMAGE_HEIGHT)
    bottom = draw_framed(picture, draw, corner, item, size, FRAME, MARK)
    if item.correct is None:
        last_line = "query"
    else:
        last_line = f"{rank}.  similarity {item.similarity:.3f}"
    face = Font(FONT_SIZE)
    lines = (item.name, f"person {item.person}", f"camera {item.camera}", last_line)
    for line, text in enumerate(lines):
        text = face.shortened(text, CELL_WIDTH)
        face.draw(draw, (corner[0], bottom + 3 + line * LINE), text, TEXT)


def draw_framed(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    item: RankedItem,
    size: tuple[int, int],
    frame: int,
    mark: int,
) -> int:
    """Draws an image, framed by its verdict; returns the first row of pixels below.

    Args:
      corner: left and top of the frame.
      size: width and height inside it.
      frame: its width.
      mark: side of the tick or cross in the upper right corner.
    """
    (left, top), (width, height) = corner, size
    right, bottom = left + width + 2 * frame - 1, top + height + 2 * frame - 1
    colour = {None: NEUTRAL, True: RIGHT, False: WRONG}[item.correct]
    draw.rectangle((left, top, right, bottom), EMPTY, colour, frame)
    image = _fitted(item.image, width, height)
    picture.paste(
        image,
        (
            left + frame + (width - image.width) // 2,
            top + frame + (height - image.height) // 2,
        ),
    )
    if item.correct is not None:
        _draw_mark(draw, right - mark + 1, top, mark, item.correct)
    return bottom + 1


def _draw_mark(draw, left: int, top: int, size: int, correct: bool) -> None:
    """Draws a white tick or cross on a square of the verdict's colour."""
    square = (left, top, left + size - 1, top + size - 1)
    draw.rectangle(square, RIGHT if correct else WRONG)
    strokes = (
        [[(0.2, 0.52), (0.42, 0.74), (0.8, 0.28)]]
        if correct
        else [[(0.25, 0.25), (0.75, 0.75)], [(0.25, 0.75), (0.75, 0.25)]]
    )
    for stroke in strokes:
        points = [(left + x * (size - 1), top + y * (size - 1)) for x, y in stroke]
        draw.line(points, BACKGROUND, width=3, joint="curve")


def _fitted(image: np.ndarray, most_width: int, most_height: int) -> Image.Image:
    """Scales the image to the largest size that fits, keeping its proportions."""
    height, width = image.shape[:2]
    scale = min(most_width / width, most_height / height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
