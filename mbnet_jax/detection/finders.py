"""Where the boxes of a scene come from: a detector, or a file."""

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbnet_jax.detection.boxes import Box, inside
from mbnet_jax.detection.detector import Detector
from mbnet_jax.detection.mot import read_boxes


@dataclass(frozen=True)
class Finder:
    """Finds persons in the frames of a scene.

    Attributes:
      find: (number of the frame, RGB uint8 [h, w, 3]) -> boxes inside the image.
      digest: of all that the boxes depend on, besides the frames.
      only: the frames that have boxes. None: not known before they are read.
    """

    find: Callable[[int, np.ndarray], list[Box]]
    digest: str
    only: Collection[int] | None = None


def by_detector(detector: Detector) -> Finder:
    """Finds persons by a detector."""
    return Finder(lambda number, image: detector(image), _digest(detector.settings()))


def by_file(path: Path, confidence: float | None = None) -> Finder:
    """Takes the boxes of a file.

    Args, errors: as in `read_boxes`.
    """
    boxes = read_boxes(path, confidence)

    def find(number: int, image: np.ndarray) -> list[Box]:
        return inside(boxes.get(number, []), image.shape[1], image.shape[0])

    return Finder(find, _digest([*boxes.items()]), boxes.keys())


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
