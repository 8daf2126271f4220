"""What detectors take and return: the forms of YOLOX, and of D-FINE and RT-DETR.

- "yolox": BGR in 0..255. The image keeps its aspect in the upper left corner, grey
  fills the rest. One output [1, n, 5 + classes]: for each cell of grids of the strides
  8, 16 and 32, the centre's offset in cells, the logarithm of the size in cells, and
  probabilities of an object, and of each class. Boxes overlap and need suppression.
- "detr": RGB in 0..1, stretched. Two outputs: logits [1, n, classes], and boxes
  [1, n, 4] as centre and size, in shares of the image. Each person has one box.
"""

import cv2
import numpy as np

PERSON = 0  # of COCO's classes
_STRIDES = (8, 16, 32)
_GREY = 114


def yolox_input(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fits RGB, uint8 [h, w, 3], into float32 [1, 3, H, W]."""
    scale = _scale(image.shape[:2], size)
    # At least one pixel of an image that is far longer than wide.
    fitted = (max(int(side * scale), 1) for side in image.shape[1::-1])
    small = cv2.resize(image, tuple(fitted), interpolation=cv2.INTER_LINEAR)
    padded = np.full((*size, 3), _GREY, np.uint8)
    padded[: small.shape[0], : small.shape[1]] = small
    return _channels_first(padded[..., ::-1].astype(np.float32))


def yolox_boxes(
    found: np.ndarray, image: tuple[int, int], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes an output [n, 5 + classes] of an input of `size`.

    Returns:
      Boxes of persons in pixels of the image, float64 [n, 4], x, y, width, height; and
      their probabilities, float64 [n].
    """
    cells, strides = _grid(size)
    found = found.astype(np.float64)
    centre = (found[:, :2] + cells) * strides
    sides = np.exp(found[:, 2:4]) * strides
    boxes = np.concatenate([centre - sides / 2, sides], axis=1)
    scores = found[:, 4] * found[:, 5 + PERSON]
    return boxes / _scale(image, size), scores


def yolox_rows(size: tuple[int, int]) -> int:
    """How many rows an output has."""
    return sum((size[0] // each) * (size[1] // each) for each in _STRIDES)


def detr_input(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Stretches RGB, uint8 [h, w, 3], to float32 [1, 3, H, W]."""
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    return _channels_first(resized.astype(np.float32) / 255)


def detr_boxes(
    logits: np.ndarray, found: np.ndarray, image: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes logits [n, classes] and boxes [n, 4]; returns what `yolox_boxes` does."""
    height, width = image
    shares = found.astype(np.float64)
    corner = shares[:, :2] - shares[:, 2:] / 2
    boxes = np.concatenate([corner, shares[:, 2:]], axis=1)
    boxes *= (width, height, width, height)
    # For a large negative number, exp is infinite and the probability 0.
    with np.errstate(over="ignore"):
        scores = 1 / (1 + np.exp(-logits[:, PERSON].astype(np.float64)))
    return boxes, scores


def _scale(image: tuple[int, int], size: tuple[int, int]) -> float:
    """Pixels of the input for each of the image."""
    return min(size[0] / image[0], size[1] / image[1])


def _grid(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The cell [n, 2], x before y, and stride [n, 1] of each row of an output."""
    cells, strides = [], []
    for stride in _STRIDES:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells), np.concatenate(strides)


def _channels_first(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])
