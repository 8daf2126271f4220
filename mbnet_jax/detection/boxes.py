"""Boxes around persons, in pixels of the image that they are in."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

NO_TRACK = -1
# A smaller crop shows nobody whom a network would know.
LEAST_HEIGHT, LEAST_WIDTH = 16, 8


class Box(NamedTuple):
    """A box; pixels are areas, so the image's left border is at x = 0.

    Attributes:
      x, y: of its upper left corner.
      width, height: at least 0.
      confidence: of the detector; 1 where nobody stated one.
      track: the number that a tracker gave the person; `NO_TRACK`: none.
    """

    x: float
    y: float
    width: float
    height: float
    confidence: float = 1.0
    track: int = NO_TRACK


def suppressed(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> np.ndarray:
    """Greedy non-maximum suppression: the rows that remain, most confident first.

    A box goes if its intersection over union with a more confident one that remains is
    larger than `overlap`.

    Args:
      boxes: float [n, 4], x, y, width, height.
      scores: float [n]; those of 0 go.
      overlap: 0 to 1.
    """
    if not len(boxes):
        return np.zeros(0, np.int64)
    kept = cv2.dnn.NMSBoxes(
        boxes.astype(np.float64).tolist(),
        scores.astype(np.float64).tolist(),
        score_threshold=0.0,
        nms_threshold=overlap,
    )
    return np.asarray(kept, np.int64).reshape(-1)


def inside(boxes: Sequence[Box], width: int, height: int) -> list[Box]:
    """The boxes cut at the image's borders, without those that are then too small."""
    found = []
    for box in boxes:
        left, top = max(box.x, 0.0), max(box.y, 0.0)
        right = min(box.x + box.width, float(width))
        bottom = min(box.y + box.height, float(height))
        if right - left >= LEAST_WIDTH and bottom - top >= LEAST_HEIGHT:
            cut = {"x": left, "y": top, "width": right - left, "height": bottom - top}
            found.append(box._replace(**cut))
    return found


def crop(image: np.ndarray, box: Box) -> np.ndarray:
    """The pixels [h, w, 3] that the box touches; it is inside the image."""
    left, top = int(np.floor(box.x)), int(np.floor(box.y))
    right = int(np.ceil(box.x + box.width))
    bottom = int(np.ceil(box.y + box.height))
    return image[top:bottom, left:right]
