"""Photographs from files, Pillow images or arrays, as the network takes them.

Files go through what training reads its images with, so that the same file gives the
same pixels here and there.
"""

import os
import threading
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from PIL import Image, ImageOps

from mbnet_jax.images import decode_image, resize_image
from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.parsing.maps import canonical_map, read_labels

Photograph = str | os.PathLike | Image.Image | np.ndarray

# Pillow reads a file when its pixels are first asked for, and must not do so twice at
# a time: a list may hold one image twice.
_READING = threading.Lock()


def load_photograph(
    photograph: Photograph, parsing: Photograph | None, name: str, data: ConfigDict
) -> tuple[np.ndarray, np.ndarray]:
    """Image [H, W, 3] RGB and parsing [H, W], canonical labels, both uint8.

    As training does, an image is turned by its EXIF orientation and resized to
    `data.height` and `data.width`; a map is taken as it lies.

    Args:
      photograph: a path, a Pillow image, or uint8 [h, w, 3] RGB, of any size.
      parsing: its parsing map in the label set `data.parsing_labels`: a path, a
        Pillow image, or uint8 [h, w]. None gives all background.
      name: of a photograph that is no file, for messages.
      data: `config.data`.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: naming the photograph, if it or its map cannot be decoded or is of
        another kind, if their sizes differ, or the map has labels beyond its set.
    """
    size = (data.height, data.width)
    name = name_of(photograph, name)
    pixels = _pixels(photograph, name)
    image = resize_image(pixels, size)
    if parsing is None:
        return image, np.full(size, BACKGROUND, np.uint8)
    if isinstance(parsing, str | os.PathLike):
        name = f"{name} ({parsing})"
    labels = _labels(parsing, name)
    if labels.shape != pixels.shape[:2]:
        raise ValueError(
            f"the parsing map of {name} is {_size(labels)} pixels (width x height), "
            f"its image {_size(pixels)}; give a map of the image's size"
        )
    return image, canonical_map(labels, data.parsing_labels, size, name)


def name_of(photograph: Photograph, otherwise: str) -> str:
    """The photograph's path, or `otherwise` if it is no file."""
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
        return _of_pillow(photograph, name)
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


def _of_pillow(picture: Image.Image, name: str) -> np.ndarray:
    try:
        with _READING:
            picture.load()
        # As OpenCV does when it decodes a file.
        picture = ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError, ValueError) as error:  # broken or closed files
        raise ValueError(
            f"the image of {name} cannot be decoded ({error}); replace the file"
        ) from error
    if picture.mode.startswith(("I", "F")):
        raise ValueError(
            f"{name} must have 8 bits a channel; its Pillow mode is {picture.mode}"
        )
    return np.asarray(picture.convert("RGB"))


def _labels(parsing: Photograph, name: str) -> np.ndarray:
    """A parsing map's labels as they are, uint8 [h, w]."""
    if isinstance(parsing, str | os.PathLike):
        return read_labels(_bytes(parsing, f"the parsing map of {name}"), name)
    if isinstance(parsing, Image.Image):
        with _READING:
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
        raise FileNotFoundError(f"{what} is not there") from error
    except OSError as error:
        raise OSError(f"{what} cannot be read ({error.strerror})") from error
