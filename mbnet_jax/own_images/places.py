"""Takes names apart: which places in them differ, and could be a person or a camera.

Names of one shape, such as `Ana/door_17` and `Ben/gate_3`, have the same places.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mbnet_jax.own_images.pattern import without_ending

_SHAPES = 3  # the most frequent ones are looked at
_WORDS = re.compile(r"([^\w]+|_+)")
_RUNS = re.compile(r"\d+|\D+")


@dataclass(frozen=True)
class Place:
    """A part of a name that differs between names.

    Attributes:
      values: of each name of the shape.
      kind: letters that all values begin with, or that stand before them in all names.
      folder: whether it is in the name of a folder.
      first: whether nothing stands before it in the name.
      last: whether it is the last place in the file's name.
      order: from the left, from 0.
    """

    values: list[str]
    kind: str
    folder: bool
    first: bool
    last: bool
    order: int

    @property
    def numbers(self) -> bool:
        """Whether every value is a number, but for `kind`."""
        return all(value.removeprefix(self.kind).isdigit() for value in self.values)


@dataclass(frozen=True)
class Shape:
    """Names that are built alike.

    Attributes:
      parts: of each folder and of the file's name: texts that all names have, and
        places.
      deep: whether other names have another number of folders.
    """

    parts: list[list[str | Place]]
    deep: bool

    @property
    def places(self) -> list[Place]:
        """All places, from the left."""
        return [part for level in self.parts for part in level if _is_place(part)]

    def pattern(self, roles: Mapping[int, str]) -> str:
        """The pattern in which the place of order `o` is the field `roles[o]`."""
        levels = [_level_text(level, roles) for level in self.parts]
        if self.deep:
            named = [number for number, text in enumerate(levels) if "{" in text]
            if named[-1] < len(levels) - 1:
                return "/".join([*levels[: named[-1] + 1], "**"])
            if len(named) == 1 and set(levels[:-1]) <= {"*"}:
                return f"**/{levels[-1]}"
        return "/".join(levels)


def shapes(names: Sequence[str]) -> list[Shape]:
    """The most frequent shapes of the names, the most frequent first."""
    alike = defaultdict(list)
    for name in names:
        levels = unicodedata.normalize("NFC", without_ending(name)).split("/")
        separators = tuple(_WORDS.split(levels[-1])[1::2])
        alike[len(levels), separators].append(levels)
    deep = len({depth for depth, _ in alike}) > 1
    frequent = Counter({key: len(rows) for key, rows in alike.items()})
    return [_shape(alike[key], deep) for key, _ in frequent.most_common(_SHAPES)]


def _shape(rows: list[list[str]], deep: bool) -> Shape:
    order = 0
    parts = []
    for number, values in enumerate(zip(*rows, strict=True)):
        folder = number < len(rows[0]) - 1
        level: list[str | Place] = []
        for piece in _folder(values) if folder else _stem(values):
            if isinstance(piece, str):
                level.append(piece)
            else:
                kind, found = piece
                level.append(Place(found, kind, folder, not level, False, order))
                order += 1
        parts.append(level)
    places = [n for n, part in enumerate(parts[-1]) if _is_place(part)]
    if places:
        parts[-1][places[-1]] = replace(parts[-1][places[-1]], last=True)
    return Shape(parts, deep)


Piece = str | tuple[str, list[str]]  # a text that all have, or kind and values


def _folder(values: Sequence[str]) -> list[Piece]:
    """Folders are one place, unless several share their first words: `Ana_red`."""
    split = [_WORDS.split(value) for value in values]
    if len({tuple(words[1::2]) for words in split}) == 1 and len(split[0]) > 1:
        first = {words[0] for words in split}
        if 1 < len(first) < len({*values}):
            return _stem(values)
    return [("", [*values])] if len({*values}) > 1 else [values[0]]


def _stem(values: Sequence[str]) -> list[Piece]:
    pieces: list[Piece] = []
    columns = zip(*(_WORDS.split(value) for value in values), strict=True)
    for number, column in enumerate(columns):
        if number % 2 or len({*column}) == 1:  # separators, or always the same
            pieces.append(column[0])
        else:
            pieces += _word(column)
    return [piece for piece in pieces if piece != ""]


def _word(values: Sequence[str]) -> list[Piece]:
    """A word is one place, unless it is built of letters and numbers: `c1s4`."""
    runs = [_RUNS.findall(value) for value in values]
    letters = {tuple(run for run in each if not run.isdigit()) for each in runs}
    whole: list[Piece] = [("", [*values])]
    alike = len({tuple(run.isdigit() for run in each) for each in runs}) == 1
    if not alike or len(runs[0]) < 2:
        return whole
    if len(letters) == 1:
        if len(runs[0]) == 2 and len(runs[0][0]) > 2 and not runs[0][0].isdigit():
            return [(runs[0][0], [*values])]  # "gate1" is a better name than "1"
        pieces: list[Piece] = []
        kind = ""
        for column in zip(*runs, strict=True):
            if column[0].isdigit() and len({*column}) > 1:
                pieces.append((kind, [*column]))
            else:
                pieces.append(column[0])
            kind = column[0]
        return pieces
    if len(runs[0]) == 2 and runs[0][1].isdigit() and len({*values}) > len(values) / 2:
        names, numbers = zip(*runs, strict=True)  # "ana12"
        return [("", [*names]), ("", [*numbers])]
    return whole


def _level_text(level: list[str | Place], roles: Mapping[int, str]) -> str:
    """One folder or file name of a pattern."""
    named = [
        n for n, part in enumerate(level) if _is_place(part) and part.order in roles
    ]
    if not named:
        return "*"
    first, last = named[0], named[-1]
    texts = []
    for part in level[first : last + 1]:
        if isinstance(part, str):
            texts.append(part)
        else:
            texts.append(f"{{{roles[part.order]}}}" if part.order in roles else "*")
    return _before(level[:first]) + "".join(texts) + _after(level[last + 1 :])


def _before(parts: list[str | Place]) -> str:
    """What stands before the first field: its last text, and "*"."""
    if all(isinstance(part, str) for part in parts):
        return "".join(parts)
    return "*" + (parts[-1] if isinstance(parts[-1], str) else "")


def _after(parts: list[str | Place]) -> str:
    """What follows the last field: its first text, and "#" or "*"."""
    places = [part for part in parts if _is_place(part)]
    if len(places) == 1 and places[0].numbers and not places[0].kind:
        return "".join(part if isinstance(part, str) else "#" for part in parts)
    if not parts:
        return ""
    return (parts[0][0] if isinstance(parts[0], str) else "") + "*"


def _is_place(part: str | Place) -> bool:
    return isinstance(part, Place)
