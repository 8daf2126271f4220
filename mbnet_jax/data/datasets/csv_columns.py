"""The columns of a manifest, by their names or those that people give them."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.data.records import some_of

REQUIRED = ("path", "pid", "split")
OPTIONAL = ("camera", "clothes", "parsing")
FORMAT = (
    f"It is a CSV file with the columns {', '.join(REQUIRED)} and, where known, "
    f"{', '.join(OPTIONAL)}, between commas, semicolons or tabs; docs/datasets.md has "
    "an example"
)
# Other names of the columns; case, spaces and hyphens do not count.
ALIASES = {
    "path": (
        *("image", "image_path", "image_file", "img", "img_path"),
        *("file", "file_name", "file_path", "filename", "filepath"),
    ),
    "pid": ("id", "person", "person_id", "identity", "identity_id", "subject"),
    "split": ("subset", "partition"),
    "camera": ("cam", "camera_id", "cam_id", "camid"),
    "clothes": (
        *("outfit", "outfit_id", "clothes_id", "clothing", "clothing_id"),
        *("cloth", "cloth_id"),
    ),
    "parsing": ("parsing_path", "parsing_map", "mask", "mask_path", "map"),
}
_NEAR = 0.8  # of 1, from which a name counts as a misspelt one


class Columns(NamedTuple):
    """Which column is which.

    Attributes:
      at: column -> its number in the header, from 0.
      renamed: column -> the name that it has in the header, if that is another word.
      ignored: the names of the columns that are none of ours.
    """

    at: dict[str, int]
    renamed: dict[str, str]
    ignored: list[str]


def fits(header: Sequence[str]) -> bool:
    """Whether the header has all columns that are required."""
    return all(_candidates(header, column) for column in REQUIRED)


def find_columns(file: Path, header: Sequence[str]) -> Columns:
    """Finds the columns; a column's own name counts more than another of its names.

    Raises:
      ValueError: naming the file, if a required column is missing, two columns could be
        the same one, or one seems to be misspelt.
    """
    found = {column: _candidates(header, column) for column in ALIASES}
    for column, places in found.items():
        if len(places) > 1 and _plain(header[places[0]]) == column:
            raise ValueError(f"{file} has the column {column} twice; keep one")
        if len(places) > 1:
            names = some_of(header[place] for place in places)
            raise ValueError(
                f"{file}: the columns {names} could all be {column}; rename the right "
                f"one to {column}"
            )
    at = {column: places[0] for column, places in found.items() if places}
    ignored = [name for place, name in enumerate(header) if place not in at.values()]
    missing = [column for column in REQUIRED if column not in at]
    if missing:
        columns = some_of(header, most=10)[:300] or "none"
        wrapped = len(header) == 1 and re.search("[,;\t]", header[0])
        hint = " Remove the quotes around whole lines." if wrapped else ""
        raise ValueError(
            f"{file} has the columns {columns}, and none that is "
            f"{' or '.join(missing)}. {FORMAT}.{hint}{_misspelt(ignored, missing)}"
        )
    hint = _misspelt(ignored, [column for column in OPTIONAL if column not in at])
    if hint:
        raise ValueError(f"{file}:{hint}")
    renamed = {c: header[i] for c, i in at.items() if _plain(header[i]) != c}
    return Columns(at, renamed, [name or "(one without a name)" for name in ignored])


def _candidates(header: Sequence[str], column: str) -> list[int]:
    """The numbers of the header's cells that are the column."""
    plain = [_plain(cell) for cell in header]
    own = [place for place, name in enumerate(plain) if name == column]
    return own or [n for n, name in enumerate(plain) if name in ALIASES[column]]


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.casefold())


def _misspelt(names: Sequence[str], missing: Sequence[str]) -> str:
    """A sentence about the first name that resembles one of a missing column."""
    of = {name: column for column in missing for name in (column, *ALIASES[column])}
    for name in names:
        for near in difflib.get_close_matches(_plain(name)[:100], of, 1, _NEAR):
            return (
                f" The column {some_of([name])} looks like {near}: rename it to "
                f"{of[near]}, or remove it"
            )
    return ""
