"""A light sheet: a heading with text below it, what is drawn, a small JPEG file."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from mbnet_jax.report.ranked_lists import BACKGROUND, TEXT

MARGIN, LINE, FONT_SIZE, TITLE_SIZE = 16, 18, 14, 20  # pixels
MOST_BYTES = 250_000
_QUALITIES = (90, 85, 80, 75, 70, 65, 60, 55, 50, 45)
_SHRINK = 0.9


def font(size: int = FONT_SIZE) -> ImageFont.FreeTypeFont:
    """The font of all text, `size` pixels high."""
    return ImageFont.load_default(size=size)


def wrapped(text: str, width: float) -> list[str]:
    """The text in lines of at most `width` pixels, unless a single word is wider."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font().getlength(longer) > width:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line] if line else lines


def heading(title: str, notes: Sequence[str], width: int) -> Image.Image:
    """A title, and each note from a line of its own on."""
    lines = [line for note in notes for line in wrapped(note, width - 2 * MARGIN)]
    top = MARGIN + TITLE_SIZE + 10
    picture = Image.new("RGB", (width, top + LINE * len(lines) + 8), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, MARGIN - 4), title, TEXT, font(TITLE_SIZE))
    for number, line in enumerate(lines):
        draw.text((MARGIN, top + LINE * number), line, TEXT, font())
    return picture


def stacked(parts: Sequence[Image.Image]) -> Image.Image:
    """The parts one below the other, on the left."""
    size = max(part.width for part in parts), sum(part.height for part in parts)
    picture = Image.new("RGB", size, BACKGROUND)
    top = 0
    for part in parts:
        picture.paste(part, (0, top))
        top += part.height
    return picture


def encoded(picture: Image.Image) -> bytes:
    """A JPEG of less than MOST_BYTES, of the best quality that fits.

    It is made smaller where even the lowest does not.
    """
    while True:
        for quality in _QUALITIES:
            stream = io.BytesIO()
            picture.save(stream, "JPEG", quality=quality, optimize=True)
            if stream.tell() < MOST_BYTES:
                return stream.getvalue()
        size = [max(round(_SHRINK * side), 1) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.LANCZOS)
