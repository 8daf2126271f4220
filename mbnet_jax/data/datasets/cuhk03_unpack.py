"""Unpacks the images in CUHK03's `cuhk-03.mat` into a folder."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mbnet_jax.files import PART, check_writable, delete, opened, write_whole
from mbnet_jax.locks import LOCK, locked
from mbnet_jax.progress import progress

_VIEW = 5  # images of a person in the first view; the others are of the second
_WRITTEN = re.compile(rf"\d_\d+_[12]_\d+\.png(\.\d+{re.escape(PART)})?")
_LARGEST = 1 << 40  # bytes; the file is read in parts


def unpack(file: Path, kind: str, folder: Path) -> None:
    """Writes the images of a kind to `folder` as PAIR_PERSON_VIEW_IMAGE.png, from 1.

    The folder appears once it is complete: after a kill, the next call starts over. Of
    two processes, one writes and the other waits.

    Args:
      file: HDF5. `kind` are references to the camera pairs, each of which are
        references [10, persons] to images uint8 [3, width, height], or to what is no
        image.
      kind: "detected" or "labeled".
      folder: does not exist.

    Raises:
      ValueError: the file is damaged.
      OSError: it cannot be read, or the images cannot be written.
    """
    part = folder.with_name(folder.name + PART)
    check_writable(part, "data.root must be where the images can be unpacked")
    with locked(part):
        if folder.exists():  # another process was first
            return
        images = part / "images"
        if images.exists():  # left over from a kill
            names = [name for name in os.listdir(images) if _WRITTEN.fullmatch(name)]
            delete(images, names)
        images.mkdir()
        for name, pixels in _images(file, kind):
            _, data = cv2.imencode(".png", pixels[..., ::-1])
            write_whole(images / name, data.tobytes(), sync=False)
        os.rename(images, folder)
    delete(part, [LOCK])


def _images(file: Path, kind: str) -> Iterator[tuple[str, np.ndarray]]:
    """The images: names, and uint8 [height, width, 3], RGB."""
    import h5py  # other datasets do without

    try:
        with opened(file, _LARGEST) as raw, h5py.File(raw, "r") as content:
            pairs = [content[pair][()] for pair in np.ravel(content[kind][()])]
            total = sum(pair.size for pair in pairs)
            with progress(total, f"unpacking {file.name}", unit="image") as bar:
                for number, pair in enumerate(pairs, 1):
                    for (image, person), reference in np.ndenumerate(pair):
                        bar.update()
                        pixels = content[reference]
                        if pixels.ndim != 3:  # there are fewer than ten
                            continue
                        view = 1 if image < _VIEW else 2
                        name = f"{number}_{person + 1:03d}_{view}_{image + 1:02d}.png"
                        yield name, _checked(pixels[()].transpose(2, 1, 0), name)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ValueError(
            f"{file} cannot be unpacked ({reason}); get it again"
        ) from error


def _checked(pixels: np.ndarray, name: str) -> np.ndarray:
    if pixels.dtype != np.uint8 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"{name} is {pixels.dtype} {list(pixels.shape)}, no image")
    return pixels
