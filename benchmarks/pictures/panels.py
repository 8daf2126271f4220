"""Panels of people on a sheet: a row for each outfit, people side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from benchmarks.pictures.sheet import MARGIN, font
from mbnet_jax.images import resize_image
from mbnet_jax.report import heat
from mbnet_jax.report.ranked_lists import BACKGROUND, TEXT, shortened

# Pixels.
LEAST_WIDTH = 126  # of a column, for the text in it
GAP, PERSON_GAP, ROW_GAP = 6, 28, 8
HEAD, LINE = 20, 15  # titles of columns; a line below a panel
SMALL = 12  # of the text below a panel
BAR_GAP = 40


class Panel(NamedTuple):
    """A picture uint8 [h, w, 3], and two lines below it."""

    picture: np.ndarray
    lines: tuple[str, str]


def scaled(image: np.ndarray, height: int) -> np.ndarray:
    """uint8 [H, W, 3] at another height, sides in proportion."""
    width = max(round(image.shape[1] * height / image.shape[0]), 1)
    return resize_image(image, (height, width))


def overlaid(
    view: np.ndarray,
    values: np.ndarray,
    area: np.ndarray,
    limits: tuple[float, float],
    height: int,
) -> np.ndarray:
    """A map over its view, the area's outline in white on black; uint8 [h, w, 3].

    Args:
      view: uint8 [H, W, 3].
      values: float [h', w'].
      area: float [H, W], of which more than a half is inside.
      limits: the values of the darkest and the lightest colour.
      height: h.
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
    """Draws person -> outfit -> panels, `beside` people side by side.

    `columns` are the titles of the panels of each outfit.
    """
    width, height = (
        max(panel.picture.shape[axis] for of in people for row in of for panel in row)
        for axis in (1, 0)
    )
    width = max(width, LEAST_WIDTH)
    step = width + GAP
    person_width = len(columns) * step - GAP + PERSON_GAP
    row_height = height + 2 * LINE + ROW_GAP
    bands = [people[i : i + beside] for i in range(0, len(people), beside)]
    band_heights = [HEAD + max(map(len, band)) * row_height for band in bands]
    size = (
        2 * MARGIN + min(beside, len(people)) * person_width - PERSON_GAP,
        sum(band_heights) + MARGIN,
    )
    picture = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(picture)
    top = 0
    for band, band_height in zip(bands, band_heights, strict=True):
        for place, person in enumerate(band):
            left = MARGIN + place * person_width
            for column, title in enumerate(columns):
                x = left + column * step
                draw.text((x, top), shortened(title, font(), width), TEXT, font())
                for number, row in enumerate(person):
                    y = top + HEAD + number * row_height
                    _draw_panel(picture, draw, (x, y), row[column], width)
        top += band_height
    return picture


def _draw_panel(picture, draw, corner, panel: Panel, width: int) -> None:
    left, top = corner
    picture.paste(Image.fromarray(panel.picture), corner)
    top += panel.picture.shape[0] + 1
    for number, line in enumerate(panel.lines):
        line = shortened(line, font(SMALL), width)
        draw.text((left, top + LINE * number), line, TEXT, font(SMALL))


def legend(bars: Sequence[tuple[str, float, float]], width: int) -> Image.Image:
    """A bar of colours for each (title, lowest value, highest value).

    A bar that has no room beside the others begins a line.
    """
    colours = Image.fromarray(heat.scale_bar())
    places, left, top = [], MARGIN, 4
    for title, low, high in bars:
        ends = f"{low:.2f}", f"{high:.2f}"
        room = max(font().getlength(title), sum(map(font().getlength, ends)) + 12)
        room = max(round(room) + 1, colours.width)
        if left > MARGIN and left + room > width - MARGIN:
            left, top = MARGIN, top + 60
        places.append((left, top, title, ends))
        left += room + BAR_GAP
    picture = Image.new("RGB", (width, top + 64), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for left, top, title, (low, high) in places:
        draw.text((left, top), title, TEXT, font())
        picture.paste(colours, (left, top + 19))
        draw.text((left, top + 37), low, TEXT, font(SMALL))
        right = left + colours.width - font(SMALL).getlength(high)
        draw.text((right, top + 37), high, TEXT, font(SMALL))
    return picture
