"""What the readers share: listing folders, parsing names, numbering labels."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.data.records import UNKNOWN, Record, Records, contiguous, some_of
from mbnet_jax.parsing.maps import MAKE_MAPS, map_path

# What counts as an image; a file of any other kind (Thumbs.db, lists) is ignored.
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")


class Found(NamedTuple):
    """An image with its labels as the dataset names them.

    `camera` counts from 0. `outfit` tells outfits of one person apart; None
    where the dataset says nothing of clothes.
    """

    path: Path
    person: int
    camera: int
    outfit: int | str | None
    parsing_path: Path | None = None


def list_images(
    folder: Path, pattern: str, example: str, source: str
) -> list[tuple[Path, re.Match]]:
    """The images in `folder` and below, with their names taken apart.

    Args:
      folder: a split's; looked through with all its sub-folders.
      pattern: regular expression that a path below `folder`, written with
        slashes, has to match as a whole.
      example: a name that matches, for the message.
      source: where the dataset comes from, for the message.

    Returns:
      (path, match) in the order of the paths as text, the same on every machine.

    Raises:
      FileNotFoundError: the folder is missing or holds no image.
      ValueError: images have names that do not match.
    """
    if not folder.is_dir():
        raise FileNotFoundError(_missing(folder, source))
    names = sorted(
        Path(parent, name).relative_to(folder).as_posix()
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        # A leading dot: what macOS leaves beside an image ("._0001.jpg").
        if name.lower().endswith(IMAGE_ENDINGS) and not name.startswith(".")
    )
    if not names:
        raise FileNotFoundError(
            f"{folder} holds no image; expected files like {example}. {source}"
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


def _missing(folder: Path, source: str) -> str:
    """Names the first folder on the way that is missing, and what is there."""
    first = folder
    while not first.parent.is_dir() and first.parent != first:
        first = first.parent
    there = some_of(sorted(p.name for p in first.parent.iterdir()), most=10)
    return (
        f"looked for {folder}, but {first} is missing; {first.parent} holds "
        f"{there or 'nothing'}. {source}"
    )


def number(found: dict[str, list[Found]]) -> Records:
    """Gives every image its numbers, once for all processes.

    In "train" `pid` and `clothes` are contiguous from 0 in sorted order. In the
    others `pid` stays, and all share one numbering of outfits, since the rules of
    evaluation compare them.

    Raises:
      ValueError: a person is both in training and in the test splits.
    """
    persons = {split: {f.person for f in rows} for split, rows in found.items()}
    tested = {
        person
        for split, group in persons.items()
        if split not in ("train", "val")
        for person in group
    }
    check_disjoint(persons["train"], tested)
    pids = contiguous(persons["train"])
    rest = [f for split, rows in found.items() if split != "train" for f in rows]
    outfits = {"train": _outfits(found["train"]), None: _outfits(rest)}
    return {
        split: [
            Record(
                f.path,
                pids[f.person] if split == "train" else f.person,
                f.camera,
                outfits["train" if split == "train" else None].get(
                    (f.person, f.outfit), UNKNOWN
                ),
                f.parsing_path,
            )
            for f in rows
        ]
        for split, rows in found.items()
    }


def _outfits(rows: Iterable[Found]) -> dict:
    return contiguous((f.person, f.outfit) for f in rows if f.outfit is not None)


def check_disjoint(trained: set, tested: set) -> None:
    """Refuses persons that are both trained on and tested on."""
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
    """Refuses records whose parsing map is named but is not there."""
    maps = [r.parsing_path for rows in records.values() for r in rows if r.parsing_path]
    missing = [path for path in maps if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(maps)} parsing maps are missing: "
            f"{some_of(missing)}. To make them:\n  {MAKE_MAPS}"
        )
