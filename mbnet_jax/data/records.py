"""What a dataset is to this project: lists of labelled image files."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


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


def contiguous(values: Iterable) -> dict:
    """Numbers the distinct `values` from 0 in sorted order: value -> number."""
    return {value: number for number, value in enumerate(sorted(set(values)))}


def relabel(records: list[Record]) -> list[Record]:
    """Makes `pid` and `clothes` contiguous from 0, in sorted order.

    Done once over the whole split, never per process, so that every run and
    every host agrees on which class a person is.
    """
    pids = contiguous(r.pid for r in records)
    clothes = contiguous(r.clothes for r in records)
    return [r._replace(pid=pids[r.pid], clothes=clothes[r.clothes]) for r in records]
