"""Photographs: found in a folder, and decoded as the network takes them.

Files are decoded and resized by the functions that training uses, so a file has the
same pixels in both.
"""

import os
import stat as status
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mbnet_jax.files import MAX_BYTES, printable, read_bytes
from mbnet_jax.images import (
    IMAGE_ENDINGS,
    decode_image,
    load_image,
    resize_image,
    to_rgb,
)
from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.parsing.maps import canonical_map, read_labels
from mbnet_jax.search.checks import IMAGE, MAP, check_item

Photograph = str | os.PathLike | Image.Image | np.ndarray
Failures = list[tuple[str, str]]  # a file or folder, and why it cannot be used

# Pillow reads an image's pixels and orientation when they are first requested, which
# two threads must not do at once: a list may hold the same image twice.
_DECODING = threading.Lock()


class Stamp(NamedTuple):
    """The status of a file; another stamp means that its content may have changed.

    Attributes:
      size: in bytes.
      modified: mtime in nanoseconds.
      changed: ctime in nanoseconds, which a copy that preserves mtime updates too.
    """

    size: int
    modified: int
    changed: int


def stamp(stat: os.stat_result) -> Stamp:
    """Returns the stamp of a file's status."""
    return Stamp(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def list_photographs(
    folder: Path,
    without: Iterable[Path] = (),
    endings: tuple[str, ...] = IMAGE_ENDINGS,
    most: int = MAX_BYTES,
) -> tuple[dict[str, Stamp], Failures]:
    """Lists the photographs in `folder` and its sub-folders, by their file endings.

    Hidden files and folders are skipped, and links to folders, which may form cycles.

    Args:
      folder: the folder.
      without: folders inside it to skip, such as that of the parsing maps.
      endings: of the files, in lower case.
      most: bytes of a file.

    Returns:
      Path relative to `folder` -> stamp, sorted by path; and what cannot be read.

    Raises:
      FileNotFoundError: if there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {printable(folder)}")
    skipped = {os.path.realpath(path) for path in without}
    found: dict[str, Stamp] = {}
    failures: Failures = []
    waiting = [("", os.fspath(folder))]
    while waiting:
        prefix, path = waiting.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if os.path.realpath(entry.path) not in skipped:
                            waiting.append((f"{name}/", entry.path))
                    elif entry.name.lower().endswith(endings):
                        try:
                            found[name] = usable(entry.stat(), most)
                        except (OSError, ValueError) as error:
                            # A broken link has an `strerror`.
                            why = getattr(error, "strerror", None) or str(error)
                            failures.append((name, why))
        except OSError as error:
            failures.append((prefix or path, f"cannot be listed: {error.strerror}"))
    return dict(sorted(found.items())), sorted(failures)


def usable(stat: os.stat_result, most: int = MAX_BYTES) -> Stamp:
    """Returns the stamp of a file that may be read.

    Args:
      stat: of the file.
      most: bytes that it may have.

    Raises:
      ValueError: it is a folder, a named pipe, a socket or a device, or too large.
    """
    if not status.S_ISREG(stat.st_mode):
        raise ValueError("is not a regular file")
    if stat.st_size > most:
        raise ValueError(f"has {stat.st_size:,} bytes; at most {most:,} are read")
    return stamp(stat)


def load_photograph(
    photograph: Photograph,
    parsing: Photograph | None,
    name: str,
    size: tuple[int, int],
    labels: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes to image [H, W, 3] RGB and parsing [H, W], canonical labels, both uint8.

    As in training, an image is rotated by its EXIF orientation and resized; a map is
    not rotated.

    Args:
      photograph: a path, a Pillow image, or uint8 [h, w, 3] RGB, of any size.
      parsing: its parsing map: a path, a Pillow image, or uint8 [h, w]. None: all
        background.
      name: what messages call a photograph that is not a file.
      size: H, W in pixels.
      labels: the label set of the map, of `parsing.maps.LABEL_SETS`.

    Raises:
      FileNotFoundError: if a file is missing.
      ValueError: naming the photograph, if it or its map cannot be decoded or has the
        wrong type, if their sizes differ, or the map has labels beyond its set.
    """
    pixels, name = load_pixels(photograph, name)
    image = resize_image(pixels, size)
    if parsing is None:
        return image, np.full(size, BACKGROUND, np.uint8)
    check_item(parsing, f"the parsing map of {name}", MAP)
    if isinstance(parsing, str | os.PathLike):
        name = f"{name} ({printable(parsing)})"
    found = _labels(parsing, name)
    return image, canonical_map(found, labels, size, name, pixels.shape[:2])


def load_pixels(photograph: Photograph, name: str) -> tuple[np.ndarray, str]:
    """Decodes to RGB, uint8 [h, w, 3], of the photograph's own size, and its name.

    Args, errors: as in `load_photograph`.
    """
    check_item(photograph, name, IMAGE)
    name = name_of(photograph, name)
    return _pixels(photograph, name), name


def name_of(photograph: Photograph, otherwise: str) -> str:
    """Returns the photograph's path, or `otherwise` if it is not a file."""
    if isinstance(photograph, Image.Image):
        photograph = getattr(photograph, "filename", "")
    if isinstance(photograph, str | os.PathLike):
        return printable(photograph) or otherwise
    return otherwise


def _pixels(photograph: Photograph, name: str) -> np.ndarray:
    """RGB, uint8 [h, w, 3]."""
    if isinstance(photograph, np.ndarray):
        return np.ascontiguousarray(photograph)
    if isinstance(photograph, Image.Image):
        with _DECODING:
            what = f"the image of {name}"
            return to_rgb(load_image(photograph, what), what)
    return decode_image(_bytes(photograph, f"the photograph {name}"), name)


def _labels(parsing: Photograph, name: str) -> np.ndarray:
    """A parsing map's own labels, uint8 [h, w]."""
    if isinstance(parsing, np.ndarray):
        return parsing
    if isinstance(parsing, Image.Image):
        with _DECODING:
            return read_labels(parsing, name)
    return read_labels(_bytes(parsing, f"the parsing map of {name}"), name)


def _bytes(path: str | os.PathLike, what: str) -> bytes:
    try:
        return read_bytes(Path(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{what} does not exist") from error
    except OSError as error:
        raise OSError(f"{what} cannot be read ({error.strerror})") from error
    except ValueError as error:  # a pipe, a folder, too large
        raise ValueError(f"{what} cannot be read: {printable(str(error))}") from error
