"""Photographs: found in a folder, and decoded as the network takes them.

Files are decoded and resized by the functions that training uses, so a file has the
same pixels in both.
"""

import os
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from mbnet_jax.images import IMAGE_ENDINGS, decode_image, resize_image
from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.parsing.maps import canonical_map, read_labels

Photograph = str | os.PathLike | Image.Image | np.ndarray
Failures = list[tuple[str, str]]  # a file or folder, and why it cannot be used

# Pillow decodes an image when its pixels are first requested, which two threads must
# not do at once: a list may hold the same image twice.
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
    folder: Path, without: Path | None = None
) -> tuple[dict[str, Stamp], Failures]:
    """Lists the photographs in `folder` and its sub-folders, by their file endings.

    Hidden files and folders are skipped, and links to folders, which may form cycles.

    Args:
      folder: the folder.
      without: a folder inside it to skip, such as that of the parsing maps.

    Returns:
      Path relative to `folder` -> stamp, sorted by path; and what cannot be read.

    Raises:
      FileNotFoundError: if there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    skipped = None if without is None else os.path.realpath(without)
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
                        if os.path.realpath(entry.path) != skipped:
                            waiting.append((f"{name}/", entry.path))
                    elif entry.name.lower().endswith(IMAGE_ENDINGS):
                        try:
                            found[name] = stamp(entry.stat())
                        except OSError as error:  # a broken link
                            failures.append((name, error.strerror))
        except OSError as error:
            failures.append((prefix or path, f"cannot be listed: {error.strerror}"))
    return dict(sorted(found.items())), failures


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
    name = name_of(photograph, name)
    pixels = _pixels(photograph, name)
    image = resize_image(pixels, size)
    if parsing is None:
        return image, np.full(size, BACKGROUND, np.uint8)
    if isinstance(parsing, str | os.PathLike):
        name = f"{name} ({parsing})"
    found = _labels(parsing, name)
    if found.shape != pixels.shape[:2]:
        raise ValueError(
            f"the parsing map of {name} is {_size(found)} pixels (width x height), "
            f"its image {_size(pixels)}; give a map of the image's size"
        )
    return image, canonical_map(found, labels, size, name)


def name_of(photograph: Photograph, otherwise: str) -> str:
    """Returns the photograph's path, or `otherwise` if it is not a file."""
    if isinstance(photograph, Image.Image):
        return getattr(photograph, "filename", "") or otherwise
    if isinstance(photograph, str | os.PathLike):
        return os.fspath(photograph)
    return otherwise


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"


def _pixels(photograph: Photograph, name: str) -> np.ndarray:
    """RGB, uint8 [h, w, 3]."""
    if isinstance(photograph, str | os.PathLike):
        return decode_image(_bytes(photograph, f"the photograph {name}"), name)
    if isinstance(photograph, Image.Image):
        return _pixels_of_pillow(photograph, name)
    if isinstance(photograph, np.ndarray):
        shape = photograph.shape
        is_rgb = photograph.dtype == np.uint8 and photograph.ndim == 3 and shape[2] == 3
        if is_rgb and photograph.size:
            return np.ascontiguousarray(photograph)
        raise ValueError(
            f"{name} must be uint8 [height, width, 3] in RGB; it is "
            f"{photograph.dtype} {list(shape)}"
        )
    raise ValueError(
        f"{name} must be a path, a Pillow image or an array; it is a "
        f"{type(photograph).__name__}"
    )


def _pixels_of_pillow(picture: Image.Image, name: str) -> np.ndarray:
    try:
        with _DECODING:
            picture.load()
        # OpenCV does the same when it decodes a file.
        picture = ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError, ValueError) as error:  # broken or closed files
        raise ValueError(
            f"the image of {name} cannot be decoded ({error}); replace the file"
        ) from error
    if picture.mode.startswith(("I", "F")):
        raise ValueError(
            f"{name} must have 8 bits per channel; its Pillow mode is {picture.mode}"
        )
    return np.asarray(picture.convert("RGB"))


def _labels(parsing: Photograph, name: str) -> np.ndarray:
    """A parsing map's own labels, uint8 [h, w]."""
    if isinstance(parsing, str | os.PathLike):
        return read_labels(_bytes(parsing, f"the parsing map of {name}"), name)
    if isinstance(parsing, Image.Image):
        with _DECODING:
            return read_labels(parsing, name)
    if (
        isinstance(parsing, np.ndarray)
        and parsing.dtype == np.uint8
        and parsing.ndim == 2
        and parsing.size
    ):
        return parsing
    found = (
        f"{parsing.dtype} {list(parsing.shape)}"
        if isinstance(parsing, np.ndarray)
        else f"a {type(parsing).__name__}"
    )
    raise ValueError(
        f"the parsing map of {name} must be a path, a Pillow image or uint8 "
        f"[height, width]; it is {found}"
    )


def _bytes(path: str | os.PathLike, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{what} does not exist") from error
    except OSError as error:
        raise OSError(f"{what} cannot be read ({error.strerror})") from error
