"""Boxes in the CSV form of MOTChallenge, which trackers and detectors write.

    frame, id, x, y, width, height[, confidence, ...]

Frames count from 1. The id is a person's number in this file, or -1. Coordinates are
pixels of the frame. Further columns are not read.
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from mbnet_jax.detection.boxes import NO_TRACK, Box
from mbnet_jax.files import printable, read_bytes
from mbnet_jax.refusals import shown

_LEAST_COLUMNS = 6
_MOST_ROWS = 10_000_000
_FORM = "frame,id,x,y,width,height[,confidence]"


def read_boxes(path: Path, confidence: float | None = None) -> dict[int, list[Box]]:
    """Reads the boxes of one video.

    Args:
      path: the file.
      confidence: rows below it are left out. None: rows of confidence 0, which ground
        truth ignores.

    Returns:
      Number of the frame -> its boxes, in the order of the file.

    Raises:
      ValueError: naming the file and the line that is not of the form.
      OSError: it cannot be read.
    """
    name = printable(path)
    try:
        text = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is no CSV file of boxes: {_FORM}") from error
    found: dict[int, list[Box]] = {}
    try:
        for number, row in enumerate(csv.reader(text.splitlines()), 1):
            # A first line of names is no row; an empty line is none either.
            if not row or (number == 1 and not _is_number(row[0])):
                continue
            if number > _MOST_ROWS:
                raise ValueError(f"has more than {_MOST_ROWS:,} lines; divide it")
            frame, box = _read(row, number)
            sure = box.confidence
            if sure if confidence is None else sure >= confidence:
                found.setdefault(frame, []).append(box)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{name} {error}") from error
    return found


def _read(row: Sequence[str], line: int) -> tuple[int, Box]:
    where = f"line {line}, {shown(','.join(row)[:80])},"
    if len(row) < _LEAST_COLUMNS:
        raise ValueError(f"{where} has {len(row)} columns, not {_FORM}")
    try:
        frame, track, *numbers = (float(cell) for cell in row[:7])
    except ValueError as error:
        raise ValueError(
            f"{where} has a cell that is not a number; write {_FORM}"
        ) from error
    x, y, width, height, *rest = numbers
    if not all(map(math.isfinite, (frame, track, *numbers))):
        raise ValueError(f"{where} has a number that is not finite")
    if frame < 1 or frame % 1 or track % 1:
        raise ValueError(f"{where}: frames are whole numbers from 1, ids whole numbers")
    if width <= 0 or height <= 0:
        raise ValueError(f"{where}: width and height must be above 0")
    of = int(track) if track >= 0 else NO_TRACK
    return int(frame), Box(x, y, width, height, rest[0] if rest else 1.0, of)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
