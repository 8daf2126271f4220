"""The layout of a picture: heading, legend, panels of people; and its JPEG file."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mbnet_jax.images import resize_image
from mbnet_jax.report import heat
from mbnet_jax.report.fonts import Font
from mbnet_jax.report.ranked_lists import BACKGROUND, TEXT

# Pixels.
MARGIN, LINE, FONT_SIZE, TITLE_SIZE = 16, 18, 13, 18
LEAST_WIDTH = 126  # of a column of panels, for the text in it
GAP, PERSON_GAP, ROW_GAP = 6, 28, 8
HEAD = 20  # titles of columns
CAPTION_LINE, CAPTION_SIZE = 15, 11  # of the text below a panel
BAR_GAP = 40  # between two bars of the legend

MOST_BYTES = 250_000
_QUALITIES = (90, 85, 80, 75, 70, 65, 60, 55, 50, 45)
_SHRINK = 0.9


def wrapped(text: str, width: float) -> list[str]:
    """Splits text into lines of at most `width` pixels; a longer word is not split."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and Font(FONT_SIZE).length(longer) > width:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line] if line else lines


def heading(title: str, notes: Sequence[str], width: int) -> Image.Image:
    """Draws a title with the notes below it, each starting a new line."""
    lines = [line for note in notes for line in wrapped(note, width - 2 * MARGIN)]
    top = MARGIN + TITLE_SIZE + 10
    picture = Image.new("RGB", (width, top + LINE * len(lines) + 8), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    Font(TITLE_SIZE).draw(draw, (MARGIN, MARGIN - 4), title, TEXT)
    for number, line in enumerate(lines):
        Font(FONT_SIZE).draw(draw, (MARGIN, top + LINE * number), line, TEXT)
    return picture


def legend(bars: Sequence[tuple[str, float, float]], width: int) -> Image.Image:
    """Draws a colour bar for each (title, lowest value, highest value).

    A bar that does not fit beside the others starts a new line.
    """
    colours = Image.fromarray(heat.scale_bar())
    face, small = Font(FONT_SIZE), Font(CAPTION_SIZE)
    positions, left, top = [], MARGIN, 4
    for title, low, high in bars:
        ends = f"{low:.2f}", f"{high:.2f}"
        room = max(face.length(title), sum(map(face.length, ends)) + 12)
        room = max(round(room) + 1, colours.width)
        if left > MARGIN and left + room > width - MARGIN:
            left, top = MARGIN, top + 60
        positions.append((left, top, title, ends))
        left += room + BAR_GAP
    picture = Image.new("RGB", (width, top + 64), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for left, top, title, (low, high) in positions:
        face.draw(draw, (left, top), title, TEXT)
        picture.paste(colours, (left, top + 19))
        small.draw(draw, (left, top + 37), low, TEXT)
        right = left + colours.width - small.length(high)
        small.draw(draw, (right, top + 37), high, TEXT)
    return picture


class Panel(NamedTuple):
    """An image uint8 [h, w, 3], and the two lines below it."""

    image: np.ndarray
    lines: tuple[str, str]


def scaled(image: np.ndarray, height: int) -> np.ndarray:
    """Resizes uint8 [H, W, 3] to another height, keeping the aspect ratio."""
    width = max(round(image.shape[1] * height / image.shape[0]), 1)
    return resize_image(image, (height, width))


def overlaid(
    view: np.ndarray,
    values: np.ndarray,
    area: np.ndarray,
    limits: tuple[float, float],
    height: int,
) -> np.ndarray:
    """Draws a map over its view, with an area's outline in white on black.

    Args:
      view: uint8 [H, W, 3].
      values: float [h', w'].
      area: float [H, W]; pixels above 0.5 are inside.
      limits: the values of the darkest and the lightest colour.
      height: h.

    Returns:
      uint8 [h, w, 3].
    """
    picture = heat.overlay(view, values, *limits, height)
    inside = (area > 0.5).astype(np.uint8)
    size = picture.shape[1], height
    inside = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
    edges, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, thickness in ((0, 3), (255, 1)):
        cv2.drawContours(picture, edges, -1, (colour,) * 3, thickness)
    return picture


def draw_people(
    people: Sequence[Sequence[Sequence[Panel]]], columns: Sequence[str], beside: int
) -> Image.Image:
    """Draws panels, with a row per outfit and several people side by side.

    Args:
      people: person -> outfit -> panels.
      columns: titles of the panels of an outfit.
      beside: number of people side by side.
    """
    panels = [panel for person in people for row in person for panel in row]
    height, width, _ = np.max([panel.image.shape for panel in panels], axis=0).tolist()
    width = max(width, LEAST_WIDTH)
    step = width + GAP
    person_width = len(columns) * step - GAP + PERSON_GAP
    row_height = height + 2 * CAPTION_LINE + ROW_GAP
    bands = [people[i : i + beside] for i in range(0, len(people), beside)]
    band_heights = [HEAD + max(map(len, band)) * row_height for band in bands]
    size = (
        2 * MARGIN + min(beside, len(people)) * person_width - PERSON_GAP,
        sum(band_heights) + MARGIN,
    )
    picture = Image.new("RGB", size, BACKGROUND)
    draw, face = ImageDraw.Draw(picture), Font(FONT_SIZE)
    top = 0
    for band, band_height in zip(bands, band_heights, strict=True):
        for index, person in enumerate(band):
            left = MARGIN + index * person_width
            for column, title in enumerate(columns):
                x = left + column * step
                face.draw(draw, (x, top), face.shortened(title, width), TEXT)
                for number, row in enumerate(person):
                    y = top + HEAD + number * row_height
                    _draw_panel(picture, draw, (x, y), row[column], width)
        top += band_height
    return picture


def _draw_panel(picture, draw, corner, panel: Panel, width: int) -> None:
    left, top = corner
    picture.paste(Image.fromarray(panel.image), corner)
    top += panel.image.shape[0] + 1
    face = Font(CAPTION_SIZE)
    for number, line in enumerate(panel.lines):
        line = face.shortened(line, width)
        face.draw(draw, (left, top + CAPTION_LINE * number), line, TEXT)


def stacked(parts: Sequence[Image.Image]) -> Image.Image:
    """Joins parts vertically, aligned on the left."""
    size = max(part.width for part in parts), sum(part.height for part in parts)
    picture = Image.new("RGB", size, BACKGROUND)
    top = 0
    for part in parts:
        picture.paste(part, (0, top))
        top += part.height
    return picture


def encoded(picture: Image.Image) -> bytes:
    """Encodes a JPEG of less than MOST_BYTES, in the best quality that fits.

    The picture is shrunk if even the lowest quality does not fit.
    """
    while True:
        for quality in _QUALITIES:
            stream = io.BytesIO()
            picture.save(stream, "JPEG", quality=quality, optimize=True)
            if stream.tell() < MOST_BYTES:
                return stream.getvalue()
        size = [max(round(_SHRINK * side), 1) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.LANCZOS)
