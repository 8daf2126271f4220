"""The images of a folder that can be used, and why the others cannot."""

import os
import statistics
import unicodedata
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.images import read_image
from mbnet_jax.parsing.maker import MAPS_FILE
from mbnet_jax.progress import progress
from mbnet_jax.search.photographs import Failures, list_photographs


class Images(NamedTuple):
    """What is in a folder.

    Attributes:
      names: of the usable images, relative to the folder, with slashes, sorted.
      left_out: other images' names, and why they are left out.
      height: the median, in pixels; 0 without images.
      wide: whether most are not higher than wide, so hardly crops of one person.
    """

    names: list[str]
    left_out: Failures
    height: int
    wide: bool


def find_images(folder: Path, without: Iterable[Path] = ()) -> Images:
    """Finds the images in a folder and its sub-folders, and decodes each.

    Hidden files, the folders `without` and those of `mbnet-parse` are skipped.

    Raises:
      FileNotFoundError: if there is no such folder.
    """
    found, left_out = list_photographs(folder, without)
    names = _without_maps(folder, found)
    for name in names:
        reason = _unfit(name)
        if reason:
            left_out.append((name, reason))
    bad = {name for name, _ in left_out}
    names = [name for name in names if name not in bad]
    usable, sizes = [], []
    with (
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
        progress(len(names), "looking at", unit="image", leave=False) as bar,
    ):
        sides = pool.map(lambda name: _size(folder, name), names)
        for name, size in zip(names, sides, strict=True):
            bar.update()
            if isinstance(size, str):
                left_out.append((name, size))
            else:
                usable.append(name)
                sizes.append(size)
    height = int(statistics.median([h for h, _ in sizes])) if sizes else 0
    wide = bool(sizes) and statistics.median([w / h for h, w in sizes]) >= 1
    return Images(usable, sorted(left_out), height, wide)


def _without_maps(folder: Path, names: Sequence[str]) -> list[str]:
    """The names that are in no folder that `mbnet-parse` wrote."""
    maps: dict[Path, bool] = {Path("."): False}

    def is_map(parent: Path) -> bool:
        if parent not in maps:
            own = (folder / parent / MAPS_FILE).is_file()
            maps[parent] = own or is_map(parent.parent)
        return maps[parent]

    return [name for name in names if not is_map(Path(name).parent)]


def _unfit(name: str) -> str:
    """Why a manifest cannot hold the name; "" if it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename it"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "its name holds a control character; rename it"
    if name != name.strip():
        return "its name begins or ends with a space; rename it"
    return ""


def _size(folder: Path, name: str) -> tuple[int, int] | str:
    """Height and width in pixels, or why the image cannot be decoded."""
    path = folder / name
    try:
        height, width = read_image(path).shape[:2]
    except (OSError, ValueError) as error:
        return str(error).replace(f"the image of {path} ", "")
    return height, width
