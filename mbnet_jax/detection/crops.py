"""Crops of the persons in a scene, kept in a folder for the next search.

A scene's crops are in `<folder>/<key>/`, with `boxes.csv`, which is written last: a
folder without it is incomplete, and its scene is cut again. The key is a digest of the
scene's path, size and times, of the finder and of the frames per second, so other
scenes or settings never mix. Nothing is deleted.
"""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mbnet_jax.detection.boxes import Box, crop
from mbnet_jax.detection.finders import Finder
from mbnet_jax.detection.video import VIDEO_ENDINGS, Frame, sampled_frames
from mbnet_jax.files import filename_in_errors, read_bytes, write_whole
from mbnet_jax.images import read_image

BOXES = "boxes.csv"
_VERSION = 1  # of the folder's form
_QUALITY = 95  # of JPEG
_COLUMNS = ("file", "frame", "seconds", "track", "x", "y", "width", "height")
_COLUMNS += ("confidence",)


class Crop(NamedTuple):
    """A person in a frame.

    Attributes:
      name: path of the picture, relative to the folder of all crops.
      frame: number of the frame, from 1.
      seconds: since the start of the video; None: the scene is a photograph.
      box: in pixels of the frame.
    """

    name: str
    frame: int
    seconds: float | None
    box: Box


def is_video(path: Path) -> bool:
    """Whether a file is taken for a video, by its ending."""
    return path.name.lower().endswith(VIDEO_ENDINGS)


def cut(
    scene: Path,
    folder: Path,
    finder: Finder,
    fps: float,
    number: int = 1,
    progressed: Callable[[float], None] = bool,
) -> list[Crop]:
    """Cuts the persons out of a scene, unless its crops are in `folder` already.

    Args:
      scene: a photograph or a video.
      folder: of all crops; created.
      finder: gives the boxes.
      fps: frames of a video that are looked at, per second.
      number: of a photograph, among the frames that the finder knows.
      progressed: is called with the share of the scene that is done, 0 to 1.

    Raises:
      ValueError, OSError: naming the scene that cannot be read, or the folder that
        cannot be written to.
    """
    key = _key(scene, finder, fps, number)
    own = folder / key
    known = _read(own, key)
    if known is not None:
        return known
    with filename_in_errors(own):
        own.mkdir(parents=True, exist_ok=True)
    crops = []
    for frame in _frames(scene, finder, fps, number):
        for index, box in enumerate(finder.find(frame.number, frame.image)):
            name = f"{frame.number:08d}-{index:03d}.jpg"
            write_whole(own / name, _encoded(crop(frame.image, box)), sync=False)
            crops.append(Crop(f"{key}/{name}", frame.number, frame.seconds, box))
        progressed(frame.share)
    write_whole(own / BOXES, _table(crops))
    return crops


def _frames(scene: Path, finder: Finder, fps: float, number: int) -> Iterator[Frame]:
    if is_video(scene):
        yield from sampled_frames(scene, fps, finder.only)
    elif finder.only is None or number in finder.only:
        yield Frame(number, None, read_image(scene))


def _key(scene: Path, finder: Finder, fps: float, number: int) -> str:
    found = scene.stat()
    stamp = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    frames = fps if is_video(scene) else number
    content = [_VERSION, os.path.realpath(scene), stamp, finder.digest, frames]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _encoded(pixels: np.ndarray) -> bytes:
    """RGB, uint8 [h, w, 3], as a JPEG file."""
    blue_first = np.ascontiguousarray(pixels[..., ::-1])
    _, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def _table(crops: list[Crop]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name, frame, seconds, box in crops:
        x, y, width, height, confidence, track = box
        shown = "" if seconds is None else seconds
        row = (Path(name).name, frame, shown, track, x, y, width, height, confidence)
        writer.writerow(row)
    return text.getvalue()


def _read(own: Path, key: str) -> list[Crop] | None:
    """The crops that an earlier call wrote; None if they are not whole."""
    try:
        text = read_bytes(own / BOXES).decode()
        header, *rows = csv.reader(text.splitlines())
        crops = [_crop(row, key) for row in rows]
    except (OSError, ValueError):
        return None
    whole = all((own.parent / each.name).is_file() for each in crops)
    return crops if whole and tuple(header) == _COLUMNS else None


def _crop(row: list[str], key: str) -> Crop:
    file, frame, seconds, track, *numbers = row
    if Path(file).name != file:
        raise ValueError(f"{file!r} is not a file's name")
    box = Box(*map(float, numbers), int(track))
    return Crop(f"{key}/{file}", int(frame), float(seconds) if seconds else None, box)
