"""What the readers share: listing folders, parsing names, numbering labels."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.data.records import UNKNOWN, Record, Records, contiguous, some_of
from mbnet_jax.images import IMAGE_ENDINGS
from mbnet_jax.parsing.maps import MAKE_MAPS, map_path


class Found(NamedTuple):
    """An image with its labels as the dataset names them.

    Attributes:
      path: of the image file.
      person: its number; test splits keep it as `pid`.
      camera: counted from 0; `UNKNOWN` if the dataset has no cameras.
      outfit: distinguishes the outfits of one person; None if unknown.
      parsing_path: of the parsing map, if the dataset comes with maps.
    """

    path: Path
    person: int
    camera: int
    outfit: int | str | None
    parsing_path: Path | None = None


def list_images(
    folder: Path, pattern: str, example: str
) -> list[tuple[Path, re.Match[str]]]:
    """Lists the images in `folder` and below, with their names matched.

    Files that are no images (`Thumbs.db`, lists) and hidden files are ignored.

    Args:
      folder: of one split.
      pattern: regular expression that has to match the whole of each path, relative
        to `folder` and written with slashes.
      example: a name that matches, for error messages.

    Returns:
      (path, match) in the order of the paths as text, the same on every machine.

    Raises:
      FileNotFoundError: the folder is missing or holds no image.
      ValueError: images have names that do not match.
    """
    if not folder.is_dir():
        raise FileNotFoundError(_missing(folder))
    names = sorted(
        Path(parent, name).relative_to(folder).as_posix()
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        # A leading dot: what macOS leaves beside an image ("._0001.jpg").
        if name.lower().endswith(IMAGE_ENDINGS) and not name.startswith(".")
    )
    if not names:
        raise FileNotFoundError(
            f"{folder} holds no image; expected files like {example}"
        )
    matches = [re.fullmatch(pattern, name) for name in names]
    odd = [name for name, match in zip(names, matches, strict=True) if match is None]
    if odd:
        raise ValueError(
            f"{folder}: expected names like {example}, but {len(odd)} of "
            f"{len(names)} images are named otherwise: {some_of(odd)}. Move them out "
            "of the folder, or unpack the dataset again"
        )
    return [(folder / m.string, m) for m in matches]


def _missing(folder: Path) -> str:
    """Names the first missing folder of the path, and what its parent holds."""
    first = folder
    while not first.parent.is_dir() and first.parent != first:
        first = first.parent
    present = some_of(sorted(p.name for p in first.parent.iterdir()), most=10)
    return (
        f"looked for {folder}, but {first} is missing; {first.parent} holds "
        f"{present or 'nothing'}"
    )


def number(found: Mapping[str, Sequence[Found]]) -> Records:
    """Numbers persons and outfits, and returns records by split.

    In "train", `pid` and `clothes` are contiguous from 0 in sorted order. In the
    other splits `pid` is the person as found, and `clothes` is numbered over all of
    them together, because the evaluation rules compare it across splits.

    Raises:
      ValueError: a person is in both the training and the test splits. The split
        "val" may share its persons with either.
    """
    tested = {
        f.person
        for split, rows in found.items()
        if split not in ("train", "val")
        for f in rows
    }
    persons = {f.person for f in found["train"]}
    check_disjoint(persons, tested)
    pids = contiguous(persons)
    rest = [f for split, rows in found.items() if split != "train" for f in rows]
    train_outfits, other_outfits = _outfits(found["train"]), _outfits(rest)

    def record(f: Found, training: bool) -> Record:
        outfits = train_outfits if training else other_outfits
        return Record(
            f.path,
            pids[f.person] if training else f.person,
            f.camera,
            outfits.get((f.person, f.outfit), UNKNOWN),
            f.parsing_path,
        )

    return {
        split: [record(f, split == "train") for f in rows]
        for split, rows in found.items()
    }


def _outfits(rows: Iterable[Found]) -> dict:
    return contiguous((f.person, f.outfit) for f in rows if f.outfit is not None)


def check_disjoint(trained: set, tested: set) -> None:
    """Refuses persons that are in both the training and the test splits."""
    both = sorted(trained & tested)
    if both:
        raise ValueError(
            f"{len(both)} persons are both in the training and in the test splits: "
            f"{some_of(both)}. The test would be of people the network knows; keep "
            "each person on one side"
        )


def attach_parsing(records: Records, root: Path, parsing_dir: Path) -> Records:
    """Points each record to its parsing map in `parsing_dir`, which mirrors `root`.

    Raises:
      FileNotFoundError: maps are missing.
      ValueError: a map would be the image itself.
    """
    with_maps = {
        split: [
            r._replace(parsing_path=map_path(r.path, root, parsing_dir)) for r in rows
        ]
        for split, rows in records.items()
    }
    check_parsing(with_maps)
    return with_maps


def check_parsing(records: Records) -> None:
    """Refuses records whose parsing map does not exist."""
    maps = [r.parsing_path for rows in records.values() for r in rows if r.parsing_path]
    missing = [path for path in maps if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(maps)} parsing maps are missing: "
            f"{some_of(missing)}. To make them:\n  {MAKE_MAPS}"
        )
