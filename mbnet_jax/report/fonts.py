"""Text in pictures: every script is drawn in a font that has its characters.

DejaVu Sans, which comes with Matplotlib, has Latin, Greek, Cyrillic, Arabic and Hebrew.
What it lacks, such as Chinese, Japanese and Korean, is drawn in a font of the system;
what that lacks too is written in ASCII letters ("BeiJing").

Scripts that are written from right to left need Pillow's Raqm layout, which needs the
library FriBiDi. Without it they are written in ASCII letters as well.
"""

import bisect
import dataclasses
import functools
import re
import unicodedata
from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

import matplotlib
from anyascii import anyascii
from matplotlib.ft2font import FT2Font
from PIL import ImageDraw, ImageFont, features

from mbnet_jax.files import printable

MAIN = str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
_RAQM = features.check("raqm")
# A name reads from left to right, with any right-to-left words in their own order.
_DIRECTION = {"direction": "ltr"} if _RAQM else {}
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_RIGHT_TO_LEFT = ("R", "AL", "AN")  # bidirectional classes
# Unusable here: their glyphs are placeholders, empty, or coloured.
_UNSUITABLE = re.compile("last ?resort|blank|emoji|bitmap")
_STYLED = re.compile(
    "bold|italic|oblique|light|thin|black|heavy|medium|cond|mono|serif|unifont"
)


class Run(NamedTuple):
    """Consecutive characters that are drawn in the font of one file."""

    file: str
    text: str


@dataclasses.dataclass(frozen=True)
class Font:
    """The font of text in all scripts, `size` pixels high."""

    size: int

    def length(self, text: str) -> float:
        """Returns the width of the text in pixels, as `draw` draws it."""
        return sum(
            _loaded(file, self.size).getlength(run, **_DIRECTION)
            for file, run in runs(text)
        )

    def draw(
        self,
        draw: ImageDraw.ImageDraw,
        corner: tuple[float, float],
        text: str,
        colour: tuple[int, int, int],
    ) -> None:
        """Draws the text in one line.

        Args:
          draw: of the picture.
          corner: left and top, in pixels; the baseline is that of DejaVu Sans.
          text: any; see `one_line`.
          colour: RGB, 0 to 255.
        """
        ascent, _ = _loaded(MAIN, self.size).getmetrics()
        left, baseline = corner[0], corner[1] + ascent
        for file, run in runs(text):
            face = _loaded(file, self.size)
            draw.text((left, baseline), run, colour, face, anchor="ls", **_DIRECTION)
            left += face.getlength(run, **_DIRECTION)

    def shortened(self, text: str, width: float) -> str:
        """Replaces the middle of a text wider than `width` pixels by an ellipsis.

        A file name starts with the person and ends with the image, so both are kept.
        The text becomes one line; see `one_line`.
        """
        most = round(width) + 2  # characters; hardly any is narrower than a pixel
        if len(text) > most:
            text = text[: most // 2] + text[-(most // 2) :]
        text = one_line(text)
        if self.length(text) <= width:
            return text
        parts = _clusters(text)

        def without_middle(kept: int) -> str:
            tail = kept // 2
            head, end = parts[: kept - tail], parts[len(parts) - tail :]
            return "".join((*head, _ELLIPSIS, *end))

        kept = bisect.bisect_right(
            range(len(parts)),
            width,
            lo=1,
            key=lambda kept: self.length(without_middle(kept)),
        )
        return without_middle(kept - 1)


@functools.lru_cache(256)
def _loaded(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


def one_line(text: str) -> str:
    """A text as it is drawn: composed (NFC), without anything that cannot be seen.

    Spaces of any kind become plain ones; line breaks and other control characters
    become escapes; what is no Unicode becomes replacement characters.
    """
    return "".join(map(_visible, unicodedata.normalize("NFC", text)))


def _visible(character: str) -> str:
    if unicodedata.category(character) == "Zs":
        return " "
    return character if character in _JOINERS else printable(character)


def runs(text: str) -> list[Run]:
    """Splits a text into what is drawn in one font each, from left to right."""
    found: list[Run] = []
    for cluster in _clusters(one_line(text)):
        file = font_file(cluster)
        if file is None:
            file, cluster = MAIN, _in_ascii(cluster)
        if found and found[-1].file == file:
            cluster = found.pop().text + cluster
        found.append(Run(file, cluster))
    return found


def _in_ascii(cluster: str) -> str:
    """The character in ASCII letters; some letters, such as alef, have none."""
    letter = unicodedata.category(cluster[0])[0] == "L"
    return anyascii(cluster) or ("" if letter else "\ufffd")


def _clusters(text: str) -> list[str]:
    """The characters, each with the marks that are drawn on it or joined to it."""
    found: list[str] = []
    for character in text:
        joined = character in _JOINERS or unicodedata.category(character)[0] == "M"
        if found and (joined or found[-1][-1] == _JOINERS[1]):
            found[-1] += character
        else:
            found.append(character)
    return found


@functools.lru_cache(10_000)
def font_file(cluster: str) -> str | None:
    """Returns the file of a font that can draw a character with its marks, or None."""
    if not _RAQM and any(
        unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in cluster
    ):
        return None
    needed = {ord(c) for c in cluster if not _ignorable(c)}
    if needed <= code_points(MAIN):
        return MAIN
    return next((file for file in system_fonts() if needed <= code_points(file)), None)


def _ignorable(character: str) -> bool:
    """Whether a character only affects others: joiners and variation selectors."""
    return character in _JOINERS or "\ufe00" <= character <= "\ufe0f"


@functools.cache
def code_points(file: str) -> Set[int]:
    """Returns the characters that a font has; none if it cannot be used."""
    try:
        ImageFont.truetype(file, 12)  # a font of bitmaps has no such size
        return FT2Font(file).get_charmap().keys()
    except Exception:  # a damaged font is as good as none
        return frozenset()


@functools.cache
def system_fonts() -> tuple[str, ...]:
    """Returns the system's font files, from the most suitable to the least.

    The order depends on their names alone: upright sans-serif of normal weight first.
    """
    # Imported here: it lists all fonts once, which takes seconds.
    from matplotlib.font_manager import findSystemFonts

    def rank(file: str) -> tuple:
        name = Path(file).name.lower()
        return (
            _STYLED.search(name) is not None,
            not name.startswith("notosans"),
            len(name),
            name,
            file,
        )

    files = [f for f in findSystemFonts() if not _UNSUITABLE.search(f.lower())]
    return tuple(sorted(files, key=rank))
