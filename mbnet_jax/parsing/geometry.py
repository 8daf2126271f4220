"""How an image becomes a parser's input, and how the result returns to the image.

Two fits are known:

- "stretch": the image is resized to the input, as SegFormer's processor does. Pixels
  are areas: results are resized with aligned image borders.
- "pad": the image keeps its aspect, is centred, and black fills the rest, as in SCHP's
  `simple_extractor`. Pixels are points: the centres of the outermost pixels coincide
  with those of the input, and of the result.
"""

import cv2
import numpy as np

from mbnet_jax.images import resize_image

FITS = ("stretch", "pad")
# Up to this size of an image, the logits of all classes are enlarged at once.
_LARGE = 1 << 22


def to_input(image: np.ndarray, size: tuple[int, int], fit: str) -> np.ndarray:
    """Fits an image, uint8 [h, w, 3], into a parser's input, uint8 [H, W, 3].

    Args:
      image: of any size.
      size: H, W in pixels.
      fit: one of `FITS`.
    """
    if fit == "stretch":
        return resize_image(image, size)
    matrix = _placed(image.shape[:2], size)
    return cv2.warpAffine(image, matrix, size[::-1], flags=cv2.INTER_LINEAR)


def labels_from_logits(
    logits: np.ndarray, image: tuple[int, int], size: tuple[int, int], fit: str
) -> np.ndarray:
    """The most likely class of each pixel of the image, uint8 [h, w].

    The logits are interpolated bilinearly before the class is chosen.

    Args:
      logits: float32 [a, b, classes], of the input, at any resolution.
      image: h, w of the image.
      size: H, W of the input.
      fit: how the image was fitted into the input.
    """
    if fit == "stretch" and image[0] * image[1] <= _LARGE:
        enlarged = cv2.resize(logits, image[::-1], interpolation=cv2.INTER_LINEAR)
        return enlarged.argmax(-1).astype(np.uint8)
    # Class by class, which needs a tenth of the memory.
    best = np.full(image, -np.inf, np.float32)
    labels = np.zeros(image, np.uint8)
    for label, plane in enumerate(np.moveaxis(logits, -1, 0)):
        plane = np.ascontiguousarray(plane)
        if fit == "stretch":
            enlarged = cv2.resize(plane, image[::-1], interpolation=cv2.INTER_LINEAR)
        else:
            enlarged = _at_image(plane, image, size, cv2.INTER_LINEAR)
        higher = enlarged > best
        labels[higher] = label
        np.copyto(best, enlarged, where=higher)
    return labels


def labels_from_map(
    labels: np.ndarray, image: tuple[int, int], size: tuple[int, int], fit: str
) -> np.ndarray:
    """The label of each pixel of the image, uint8 [h, w], by nearest neighbour.

    Args:
      labels: uint8 [a, b], of the input, at any resolution.
      image, size, fit: as in `labels_from_logits`.
    """
    if fit == "pad":
        return _at_image(labels, image, size, cv2.INTER_NEAREST)
    # The exact kind samples at the centres of pixels, as the image's resizing does.
    return cv2.resize(labels, image[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _placed(image: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Where the pixels of an image are in its padded input: float [2, 3], x before y.

    The distance of the outermost pixels' centres, w - 1 by h - 1, becomes the largest
    that fits into W - 1 by the same aspect.
    """
    (h, w), (height, width) = image, size
    longest = max(w - 1, (h - 1) * width / height, 1)
    scale = (width - 1) / longest
    x, y = ((width - 1) - scale * (w - 1)) / 2, ((height - 1) - scale * (h - 1)) / 2
    return np.array([[scale, 0, x], [0, scale, y]])


def _at_image(
    plane: np.ndarray, image: tuple[int, int], size: tuple[int, int], how: int
) -> np.ndarray:
    """Samples a result [a, b] of a padded input at the pixels of the image: [h, w]."""
    (rows, columns), (height, width) = plane.shape, size
    matrix = _placed(image, size)
    matrix *= np.array([[(columns - 1) / (width - 1)], [(rows - 1) / (height - 1)]])
    return cv2.warpAffine(
        plane,
        matrix,
        image[::-1],
        flags=how | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
