"""A network's coarse map laid over the image that it was made from."""

import cv2
import numpy as np
from matplotlib import colormaps

COLOURS = "viridis"  # from dark to light: readable in grey too
_OPACITY = 0.5


def over(
    image: np.ndarray, heat: np.ndarray, low: float, high: float, height: int = 256
) -> np.ndarray:
    """`heat` in colours over the image in grey, uint8 [height, W', 3].

    A cell of the map covers the same share of the picture as of the image: cell
    (i, j) of [h, w] the rows from i / h to (i + 1) / h of it. Cells stay visible:
    between their centres nothing was measured.

    Args:
      image: uint8 [H, W, 3], RGB.
      heat: float [h, w].
      low, high: the values of the darkest and the lightest colour.
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
    """The colours from lowest to highest over middle grey, uint8 [16, 256, 3]."""
    grey = np.full((16, 256, 3), 128, np.uint8)
    return over(grey, np.linspace(0, 1, 256)[None], 0, 1, height=16)


def range_of(maps: np.ndarray, least: float = 0.1) -> tuple[float, float]:
    """Lowest and highest value of `maps`; a narrower range than `least` is widened.

    Differences that small would look large, were they to fill the scale.
    """
    low, high = float(maps.min()), float(maps.max())
    missing = max(least - (high - low), 0) / 2
    return low - missing, high + missing
