"""MEVID: videos of people who change clothes, indoors and outdoors, by 33 cameras."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.data.datasets.folders import existing
from mbnet_jax.data.datasets.lists import read_lines
from mbnet_jax.data.datasets.reading import Found, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.datasets.videos import images_in
from mbnet_jax.data.records import Identifiers, Records, some_of
from mbnet_jax.files import printable, read_bytes

NAME = re.compile(r"\d{4}O\d{3}C\d{3}T\d{3}F\d{5}\.jpg", re.ASCII)
EXAMPLE = "0201O003C330T004F00192.jpg"
# For each side: the folder of images, their names, and the rows of the tracklets.
SIDES = {
    "train": ("bbox_train", "train_name.txt", "track_train_info.txt"),
    "test": ("bbox_test", "test_name.txt", "track_test_info.txt"),
}
QUERIES = "query_IDX.txt"
PLACES = ("mevid", "MEVID")  # or `data.root` itself: the archives name no folder
DEEPEST = 4  # levels of folders in which these are looked for


def read_mevid(root: Path) -> Records:
    """Reads the lists, and the images that they name, wherever they are in its folder.

    The rows of `query_IDX.txt` are the queries, all others of `track_test_info.txt` the
    gallery.
    """
    at = _find(
        next(iter(existing(root, PLACES)), root), {QUERIES}.union(*SIDES.values())
    )
    tracks = {side: _tracks(at[rows]) for side, (_, _, rows) in SIDES.items()}
    queries = _query_rows(at[QUERIES], len(tracks["test"]))
    chosen = {
        "train": range(len(tracks["train"])),
        "query": queries,
        "gallery": sorted({*range(len(tracks["test"]))} - {*queries}),
    }
    found = {}
    for split, rows in chosen.items():
        side = "train" if split == "train" else "test"
        images, names, _ = SIDES[side]
        numbered = ((row, tracks[side][row]) for row in rows)
        found[split] = [*_frames(at[images], at[names], numbered)]
    return number(found)


def _find(folder: Path, wanted: set[str]) -> dict[str, Path]:
    """Looks for files and folders by name, since archives differ in what is around.

    Raises:
      FileNotFoundError: the folder or one of `wanted` is missing.
      ValueError: one is there several times.
    """
    found: dict[str, list[Path]] = {name: [] for name in sorted(wanted)}
    level = [folder]
    for _ in range(DEEPEST):
        inner = []
        for parent in level:
            try:
                with os.scandir(parent) as entries:
                    names = sorted((entry.name, entry.is_dir()) for entry in entries)
            except OSError as error:
                raise type(error)(
                    f"{printable(parent)} cannot be listed ({error.strerror}); restore "
                    "it, or make it readable"
                ) from error
            persons = any(name.isdecimal() and is_dir for name, is_dir in names)
            if persons and parent.name in found:
                found[parent.name].append(parent)
            for name, is_dir in names:
                if is_dir and not persons and not name.startswith((".", "__MACOSX")):
                    inner.append(parent / name)
                elif name in found and not is_dir:
                    found[name].append(parent / name)
        level = inner
    for name, places in found.items():
        if not places:
            raise FileNotFoundError(
                f"looked for {name} in {printable(folder)} and {DEEPEST} levels of "
                "folders below; it is missing"
            )
        if len(places) > 1:
            raise ValueError(
                f"{name} is there {len(places)} times: {some_of(places)}; keep one"
            )
    return {name: place for name, (place,) in found.items()}


class Track(NamedTuple):
    """A tracklet: a row of `track_*_info.txt`.

    Attributes:
      where: the file and line, for messages.
      first, last: rows of the list of names, from 0; both belong to it.
      person, outfit, camera: as in the names.
    """

    where: str
    first: int
    last: int
    person: int
    outfit: int
    camera: int


def _tracks(file: Path) -> list[Track]:
    found = []
    for where, line in read_lines(file, r"\S+(\s+\S+){4}", "0.0 9.0 103.0 20.0 424.0"):
        found.append(Track(where, *_whole(line[0], where)))
    return found


def _query_rows(file: Path, tracks: int) -> list[int]:
    """The rows of the queries, which may be in one line or in many."""
    places: dict[int, str] = {}
    for where, line in read_lines(file, r"\S+(\s+\S+)*", "17.0"):
        for row in _whole(line[0], where):
            if not 0 <= row < tracks:
                raise ValueError(
                    f"{where}: row {row} must be from 0 to {tracks - 1}, the last of "
                    f"{SIDES['test'][2]}"
                )
            if row in places:
                raise ValueError(f"{where}: row {row} is in {places[row]} already")
            places[row] = where
    return [*places]


def _whole(text: str, where: str) -> list[int]:
    """Whole numbers, which the files write as floats.

    Raises:
      ValueError: one is none, or below -1, the last row of an empty track at the start.
    """
    try:
        numbers = [float(word) for word in text.split()]
        whole = [int(value) for value in numbers]
    except (ValueError, OverflowError):  # NaN and infinity too
        whole = numbers = []
    if not whole or whole != numbers or min(whole) < -1:
        raise ValueError(
            f"{where} is {printable(text)[:100]!r}, expected whole numbers from 0; "
            "restore the file"
        )
    return whole


def _frames(
    images: Path, names_file: Path, tracks: Iterable[tuple[int, Track]]
) -> Iterator[Found]:
    """Yields the frames of tracklets, in their order; an empty one has none.

    Raises:
      ValueError: a row is out of range, or an image's name contradicts its track.
      FileNotFoundError: an image is missing. All messages name file and line.
    """
    names = _names(names_file)
    present: dict[str, set[str]] = {}
    for row, track in tracks:
        if track.last < track.first:
            continue
        if not 0 <= track.first <= track.last < len(names):
            raise ValueError(
                f"{track.where}: rows {track.first} to {track.last} must be from 0 to "
                f"{len(names) - 1}, the last of {names_file}"
            )
        person = f"{track.person:04d}"
        start = f"{person}O{track.outfit:03d}C{track.camera:03d}T"
        inside = images / person
        if person not in present:
            present[person] = {*images_in(inside, track.where)}
        own = Identifiers(person, f"{track.camera}", f"{track.outfit}")
        for line in range(track.first, track.last + 1):
            name = names[line]
            if not NAME.fullmatch(name) or not name.startswith(start):
                raise ValueError(
                    f"{names_file}, line {line + 1}: {printable(name)!r} must be named "
                    f"like {EXAMPLE} and begin with {start}, after {track.where}; "
                    "restore both lists"
                )
            path = inside / name
            if name not in present[person]:
                raise FileNotFoundError(
                    f"{names_file}, line {line + 1}: there is no {path}; unpack the "
                    "images again"
                )
            yield Found(
                path, track.person, track.camera - 1, track.outfit, None, own, row
            )


def _names(file: Path) -> list[str]:
    """The lines of a list; also empty ones, so that rows keep their numbers."""
    try:
        lines = read_bytes(file).decode("utf-8-sig").rstrip().split("\n")
        return [line.strip() for line in lines]
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} must be text in UTF-8; restore it") from error


SPEC = DatasetSpec(
    name="mevid",
    citation="MEVID (Davila et al., WACV 2023)",
    source="https://github.com/Kitware/MEVID",
    read=read_mevid,
    by_tracklet=True,
    tracklet_counts={"train": 6_338, "query": 316, "gallery": 1_438},
)
