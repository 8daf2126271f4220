"""The PASCAL VOC colours of labels, in which SCHP and others save parsing maps."""

import functools

import cv2
import numpy as np
from PIL import Image


def _voc_colours() -> np.ndarray:
    """The PASCAL VOC colour map, uint8 [256, 3]: label -> RGB.

    Bits 0, 3, 6 of a label are red's highest bits, 1, 4, 7 green's, 2, 5 blue's.
    """
    labels = np.arange(256)
    colours = np.zeros((256, 3), np.int64)
    for bit in range(8):
        colours[:, bit % 3] |= (labels >> bit & 1) << (7 - bit // 3)
    return colours.astype(np.uint8)


VOC_COLOURS = _voc_colours()


def _codes(colours: np.ndarray) -> np.ndarray:
    """The three highest bits of each channel of RGB [..., 3], as one integer [...]."""
    red, green, blue = np.moveaxis(colours >> 5, -1, 0).astype(np.uint16)
    return red << 6 | green << 3 | blue


_LABELS = np.full(512, -1, np.int16)  # by code
_LABELS[_codes(VOC_COLOURS)] = np.arange(256)


def labels_of(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels [...] of VOC colours [..., 3]; and where a colour is none of them."""
    labels = _LABELS[_codes(colours)]
    # The lower bits of all VOC colours are 0.
    return labels, (labels < 0) | (colours & 31).any(-1)


def check_order(picture: Image.Image, labels: np.ndarray, what: str) -> None:
    """Refuses VOC colours in another order, as programs that shrink PNGs leave them.

    A few colours may coincide with those of another palette, so four are needed.
    """
    meant = _moved(bytes(picture.getpalette() or []))
    if meant is None:
        return
    # OpenCV counts in a third of NumPy's time, and lets other threads run.
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256])
    used = np.flatnonzero(counts.ravel()[: len(meant)])
    if len(used) >= 4 and (meant[used] >= 0).all() and (meant[used] != used).any():
        raise ValueError(
            f"{what} has the PASCAL VOC colours in another order, so its indices are "
            "not the labels; convert it to RGB"
        )


@functools.lru_cache(maxsize=64)
def _moved(palette: bytes) -> np.ndarray | None:
    """The labels, int [n], of a palette's colours; -1 where it is none of VOC's.

    None if every colour of VOC's stands in its own place. A dataset's maps mostly share
    one palette.
    """
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    labels, unknown = labels_of(colours)
    meant = np.where(unknown, -1, labels)
    return meant if ((meant >= 0) & (meant != np.arange(len(meant)))).any() else None
