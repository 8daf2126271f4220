"""Datasets that come with lists: lines of text, and the images that they name."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.data.datasets.listing import check_regular
from mbnet_jax.data.records import some_of
from mbnet_jax.files import printable, read_bytes
from mbnet_jax.images import IMAGE_ENDINGS


class Line(NamedTuple):
    """A line of a list.

    Attributes:
      where: the list and the line's number, from 1, for messages.
      match: of its text.
    """

    where: str
    match: re.Match[str]


def read_lines(file: Path, pattern: str, example: str) -> list[Line]:
    """Reads a list; empty lines and space around the others are left out.

    Args:
      file: of UTF-8, with or without a byte order mark.
      pattern: regular expression that has to match the whole of each line.
      example: a line that matches, for error messages.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: naming the file and the line, if one does not match; or if there is
        none.
    """
    try:
        text = read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} must be text in UTF-8; restore it") from error
    lines, fits = [], re.compile(pattern, re.ASCII).fullmatch
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{file}, line {number}"
        match = fits(line.strip())
        if match:
            lines.append(Line(where, match))
        elif line.strip():
            raise ValueError(
                f"{where} is {printable(line.strip())[:100]!r}, expected a line like "
                f"{example!r}; restore the file"
            )
    if not lines:
        raise ValueError(f"{file} lists nothing; restore it")
    return lines


def image_in(folder: Path, name: str, where: str) -> Path:
    """The path of the image that a list names, in `folder` or below.

    Raises:
      ValueError: the name leads out of the folder, or is not that of an image.
    """
    # A path out of the folder would have no place in what mirrors it.
    inside = not name.startswith("/") and ".." not in name.split("/")
    if not inside or not name.lower().endswith(IMAGE_ENDINGS):
        raise ValueError(
            f"{where}: {printable(name)} must be the path of an image in {folder}; "
            "restore the list"
        )
    return folder / name


def check_listed(listed: Iterable[tuple[str, Path]]) -> None:
    """Refuses lists that name an image twice, or one that is not there.

    Args:
      listed: where each image is listed, and its path.

    Raises:
      FileNotFoundError: images are missing.
      ValueError: an image is listed twice, or is not a regular file.
    """
    first: dict[Path, str] = {}
    for where, path in listed:
        if path in first:
            raise ValueError(
                f"{where} lists {path} again, after {first[path]}; restore the lists"
            )
        first[path] = where
    if not any(_unsure(first)):
        return
    missing = [f"{path} ({where})" for path, where in first.items() if not _is(path)]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(first)} listed images are missing: "
            f"{some_of(missing)}. Unpack the dataset again"
        )
    check_regular([*first], "listed images", "Unpack the dataset again")


def _unsure(paths: Iterable[Path]) -> Iterator[Path]:
    """Those that may not be regular files; a look at each file would take long."""
    sure: dict[str, set[str]] = {}
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in sure:
            try:
                with os.scandir(folder) as entries:
                    files = {
                        e.name for e in entries if e.is_file(follow_symlinks=False)
                    }
            except (OSError, ValueError):
                files = set()
            sure[folder] = files
        if name not in sure[folder]:
            yield path


def _is(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # check_regular says why
        return True
