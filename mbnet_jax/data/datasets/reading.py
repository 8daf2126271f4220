"""What the readers share: numbering labels, checking records, finding maps."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.data.datasets.listing import check_regular, list_images
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import (
    UNKNOWN,
    Identifiers,
    Record,
    Records,
    contiguous,
    some_of,
)
from mbnet_jax.files import printable
from mbnet_jax.parsing.maps import MAKE_MAPS, map_paths
from mbnet_jax.retrieval.labels import JUNK, get_rule

__all__ = [
    "Found",
    "attach_parsing",
    "check_parsing",
    "check_records",
    "found_in_name",
    "list_images",
    "number",
]
_MOST = 2**31 - 1  # labels are int32


class Found(NamedTuple):
    """An image with its labels as the dataset names them.

    Attributes:
      path: of the image file.
      person: its number; test splits keep it as `pid`. `JUNK` shows nobody.
      camera: counted from 0; `UNKNOWN` if the dataset has no cameras.
      outfit: distinguishes the outfits of one person; None if unknown.
      parsing_path: of the parsing map, if the dataset comes with maps.
      own: the labels as the dataset writes them, where that is not the person's number,
        the camera's number from 1, and the outfit. Messages and results show these.
      tracklet: distinguishes the tracklets of the dataset; None if unknown.
    """

    path: Path
    person: int
    camera: int
    outfit: int | str | None
    parsing_path: Path | None = None
    own: Identifiers = Identifiers()
    tracklet: int | str | None = None

    @property
    def shown(self) -> Identifiers:
        """The labels to show; "" for those that are unknown."""
        own = self.own
        if all(own) and self.camera != UNKNOWN and self.outfit is not None:
            return own
        return Identifiers(
            own.person or str(self.person),
            "" if self.camera == UNKNOWN else own.camera or str(self.camera + 1),
            "" if self.outfit is None else own.clothes or str(self.outfit),
        )


def found_in_name(
    path: Path, match: re.Match[str], parsing_path: Path | None = None
) -> Found:
    """An image whose name has the groups `pid`, `camera` (from 1), maybe `outfit`."""
    groups = match.groupdict()
    own = Identifiers(groups["pid"], groups["camera"], groups.get("outfit", ""))
    outfit = int(own.clothes) if own.clothes else None
    camera = int(own.camera) - 1
    return Found(path, int(own.person), camera, outfit, parsing_path, own)


def number(
    found: Mapping[str, Sequence[Found]],
    apart: Collection[str] = (),
) -> Records:
    """Numbers persons, outfits and tracklets, and returns records by split.

    In "train", `pid` and `clothes` are contiguous from 0 in sorted order. In the
    other splits `pid` is the person as found, and `clothes` and `tracklet` are numbered
    over all of them together, because the evaluation rules compare them across splits.

    Args:
      found: split -> its images.
      apart: splits that number their persons anew. A number there is not the person of
        that number in "train", and `pid` begins after those of "train".

    Raises:
      ValueError: a person is in both the training and the test splits, or an image to
        train on shows nobody. The split "val" may share its persons with either.
    """
    if "train" not in found:
        raise ValueError(f"the split 'train' is missing; found {some_of(found)}")
    nobody = [f.path for f in found["train"] if f.person == JUNK]
    if nobody:
        raise ValueError(
            f"{len(nobody)} images of the split 'train' are of the person {JUNK}, "
            f"which stands for nobody: {some_of(nobody)}. Remove them"
        )
    _check_disjoint({k: rows for k, rows in found.items() if k not in apart})
    pids = contiguous(f.person for f in found["train"])
    rest = [f for split, rows in found.items() if split != "train" for f in rows]
    train_outfits, other_outfits = _outfits(found["train"]), _outfits(rest)

    train_tracklets, other_tracklets = _tracklets(found["train"]), _tracklets(rest)

    def records(split: str) -> Iterator[Record]:
        training = split == "train"
        outfits = train_outfits if training else other_outfits
        tracklets = train_tracklets if training else other_tracklets
        first = len(pids) if split in apart else 0
        for f in found[split]:
            path, person, camera, outfit, parsing_path, _, tracklet = f
            clothes = outfits.get((person, outfit), UNKNOWN)
            if training:
                person = pids[person]
            elif person != JUNK:
                person += first
            yield Record(
                *(path, person, camera, clothes, parsing_path, f.shown),
                tracklets.get(tracklet, UNKNOWN),
            )

    return {split: [*records(split)] for split in found}


def _outfits(rows: Iterable[Found]) -> dict:
    return contiguous((f.person, f.outfit) for f in rows if f.outfit is not None)


def _tracklets(rows: Iterable[Found]) -> dict:
    return contiguous(f.tracklet for f in rows if f.tracklet is not None)


def _check_disjoint(found: Mapping[str, Sequence[Found]]) -> None:
    """Refuses persons that are in both the training and the test splits."""
    tests = [split for split in found if split not in ("train", "val")]
    trained = {f.person: f for f in reversed(found["train"])}
    tested = {f.person: f for split in tests for f in reversed(found[split])}
    both = [(trained[p], tested[p]) for p in sorted(trained.keys() & tested.keys())]
    if both:
        persons = some_of(
            f"{one.shown.person} ({one.path} and {other.path})" for one, other in both
        )
        counted = "1 person is" if len(both) == 1 else f"{len(both)} persons are"
        raise ValueError(
            f"{counted} both in the training and in the test splits: {persons}. The "
            "test would be of people the network knows; keep each person on one side"
        )


def check_records(
    records: Records, protocols: Sequence[Protocol], partly_labelled: bool = False
) -> None:
    """Refuses records that cannot be trained on and evaluated.

    Args:
      records: of the dataset.
      protocols: under which it is evaluated.
      partly_labelled: whether some images of a split may lack clothes.

    Raises:
      ValueError: a split is missing or empty, a label is not a number that fits into 32
        bits or is missing in some images of a split only, or a name is not UTF-8.
    """
    needed = {"train", *(p.query for p in protocols), *(p.gallery for p in protocols)}
    discarding = {p.gallery for p in protocols if JUNK in get_rule(p.rule).discards}
    for split in sorted(needed - {*records}):
        raise ValueError(f"the split {split!r} is missing; found {some_of(records)}")
    for split, rows in records.items():
        if not rows:
            raise ValueError(f"the split {split!r} has no image")
        least = JUNK if split in discarding else 0
        if not _are_sound(rows, least):
            for row in rows:
                _check_record(row, least)
        for label in ("camera", "tracklet", *["clothes"] * (not partly_labelled)):
            unknown = [row.path for row in rows if getattr(row, label) == UNKNOWN]
            if unknown and len(unknown) < len(rows):
                raise ValueError(
                    f"{len(unknown)} of {len(rows)} images of the split {split!r} have "
                    f"no {label}: {some_of(unknown)}. Label all or none; cameras in "
                    "names of files count from 1"
                )


def _are_sound(rows: Sequence[Record], least_pid: int) -> bool:
    """Whether `_check_record` accepts all rows; False where only it can tell."""
    for label in ("pid", "camera", "clothes", "tracklet"):
        column = [getattr(row, label) for row in rows]
        least = least_pid if label == "pid" else UNKNOWN
        if {*map(type, column)} != {int}:
            return False
        if not least <= min(column) <= max(column) <= _MOST:
            return False
    paths = [path for row in rows for path in (row.path, row.parsing_path) if path]
    try:
        "".join(map(str, paths)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_record(row: Record, least_pid: int) -> None:
    for label in ("pid", "camera", "clothes", "tracklet"):
        value = getattr(row, label)
        least = least_pid if label == "pid" else UNKNOWN
        if not (isinstance(value, Integral) and least <= value <= _MOST):
            what = "person" if label == "pid" else label
            raise ValueError(
                f"the {what} {value} of {row.path} must be a number from 0 to {_MOST}; "
                "rename the file"
            )
    for path in filter(None, (row.path, row.parsing_path)):
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"the name of the file {printable(path)} must be UTF-8; rename it"
            ) from None


def attach_parsing(records: Records, root: Path, parsing_dir: Path) -> Records:
    """Points each record to its parsing map in `parsing_dir`, which mirrors `root`.

    Raises:
      FileNotFoundError: maps are missing.
      ValueError: a map would be the image itself, or two images would share one.
    """
    images = (row.path for rows in records.values() for row in rows)
    maps = map_paths(images, root, parsing_dir)
    with_maps = {
        split: [row._replace(parsing_path=maps[row.path]) for row in rows]
        for split, rows in records.items()
    }
    check_parsing(with_maps)
    return with_maps


def check_parsing(records: Records) -> None:
    """Refuses records whose parsing map is missing or not a regular file."""
    maps = [r.parsing_path for rows in records.values() for r in rows if r.parsing_path]
    check_regular(maps, "parsing maps", f"To make them:\n  {MAKE_MAPS}")
