"""Frames of videos, sampled by time."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mbnet_jax.files import opened, printable
from mbnet_jax.images import check_size

VIDEO_ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg")
MOST_BYTES = 1 << 40  # of a video, which is never in memory as a whole
# Text by which FFmpeg would open other files than the one that was named.
_LISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD")


class Frame(NamedTuple):
    """A frame of a video, or a photograph.

    Attributes:
      number: from 1, as in MOT files.
      seconds: since the start of the video; None: a photograph has no time.
      image: RGB, uint8 [h, w, 3].
      share: of the video that is read, 0 to 1, as far as the file tells.
    """

    number: int
    seconds: float | None
    image: np.ndarray
    share: float = 1.0


def sampled_frames(
    path: Path, fps: float, only: Collection[int] | None = None
) -> Iterator[Frame]:
    """Yields the first frame of each 1 / `fps` seconds.

    The times are those of the file, so frames of varying length are sampled evenly.

    Args:
      path: the video.
      fps: frames per second.
      only: numbers of the frames that may be chosen. None: all.

    Raises:
      ValueError: the file is no video, or its frames are too large; naming the file.
      OSError: it cannot be read.
    """
    what = f"the video {printable(path)}"
    _check_start(path, what)
    # FFmpeg prints each fault of a file on stderr; what matters is raised here.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # An absolute path: OpenCV would take other names for addresses.
    capture = cv2.VideoCapture(os.path.realpath(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise ValueError(f"{what} cannot be decoded; convert it, to H.264 in MP4")
        sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        check_size(*(int(capture.get(side)) for side in sides), what)
        yield from _sampled(capture, fps, only, what)
    finally:
        capture.release()


def _sampled(
    capture: cv2.VideoCapture, fps: float, only: Collection[int] | None, what: str
) -> Iterator[Frame]:
    rate = capture.get(cv2.CAP_PROP_FPS)
    rate = rate if 0 < rate < 1e4 else 25.0
    count = last = max(only, default=0) if only is not None else None
    if count is None:
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    number, following, before = 0, 0, -1.0
    while (last is None or number < last) and capture.grab():
        number += 1
        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if seconds <= before:  # a file without times
            seconds = before + 1 / rate
        before = seconds
        # Times are rounded in files: 0.999 s is the start of the second one.
        part = int(seconds * fps + 1e-2)
        if part < following or (only is not None and number not in only):
            continue
        decoded, pixels = capture.retrieve()
        if not decoded:
            continue
        following = part + 1
        share = min(number / count, 1.0) if count > 0 else 0.0
        yield Frame(number, seconds, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), share)
    if not number and last != 0:
        raise ValueError(f"{what} has no frame that can be decoded")


def _check_start(path: Path, what: str) -> None:
    """Refuses a text that names other files, whatever its own name."""
    with opened(path, MOST_BYTES) as file:
        start = file.read(64).lstrip()
    if start.startswith(_LISTS):
        raise ValueError(f"{what} is a list of other files; give the video itself")
