"""What a dataset is to this project: lists of labelled image files."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

UNKNOWN = -1  # camera or clothes of every image, where a dataset does not say


class Record(NamedTuple):
    """One image file and its labels.

    `pid` names the person, `camera` counts from 0, and `clothes` names one
    outfit of one person: two persons never share a `clothes` value, even in the
    same garments. `parsing_path` is the file's parsing map, None where unknown.
    """

    path: Path
    pid: int
    camera: int
    clothes: int
    parsing_path: Path | None


Records = dict[str, list[Record]]


def contiguous(values: Iterable) -> dict:
    """Numbers the distinct `values` from 0 in sorted order: value -> number."""
    return {value: number for number, value in enumerate(sorted(set(values)))}


def some_of(names: Iterable, most: int = 5) -> str:
    """The first names, and how many more there are, for a message."""
    names = [str(name) for name in names]
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
