"""Draws coarse maps, such as attention, in colours over the image they belong to."""

import cv2
import numpy as np
from matplotlib import colormaps

COLOURS = "viridis"  # from dark to light, so also readable in grey
_OPACITY = 0.5


def overlay(
    image: np.ndarray, heat: np.ndarray, low: float, high: float, height: int = 256
) -> np.ndarray:
    """Draws `heat` in colours over the image in grey: uint8 [height, W', 3].

    Cell (i, j) of [h, w] covers the rows from i / h to (i + 1) / h of the picture,
    and the columns in the same way. Nothing is interpolated between the cells, since
    nothing was measured there.

    Args:
      image: uint8 [H, W, 3], RGB.
      heat: float [h, w].
      low, high: the values of the darkest and the lightest colour.
      height: of the picture, in pixels; its width follows from the image's.
    """
    width = max(round(image.shape[1] * height / image.shape[0]), 1)
    large = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    grey = cv2.cvtColor(large, cv2.COLOR_RGB2GRAY)[..., None]
    rows = np.arange(height) * heat.shape[0] // height
    columns = np.arange(width) * heat.shape[1] // width
    scaled = (heat[np.ix_(rows, columns)] - low) / max(high - low, 1e-12)
    colours = colormaps[COLOURS](np.clip(scaled, 0, 1))[..., :3] * 255
    return np.round((1 - _OPACITY) * grey + _OPACITY * colours).astype(np.uint8)


def scale_bar() -> np.ndarray:
    """Draws the colours from low to high over middle grey: uint8 [16, 256, 3]."""
    grey = np.full((16, 256, 3), 128, np.uint8)
    return overlay(grey, np.linspace(0, 1, 256)[None], 0, 1, height=16)


def value_range(maps: np.ndarray, least: float = 0.1) -> tuple[float, float]:
    """Returns the lowest and the highest value of `maps`, at least `least` apart.

    A narrower range is widened on both sides, so that small differences look small.
    """
    low, high = float(maps.min()), float(maps.max())
    missing = max(least - (high - low), 0) / 2
    return low - missing, high + missing
