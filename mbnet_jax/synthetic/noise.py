"""Smooth random fields at many scales: the unevenness of surfaces and of light."""

from collections.abc import Sequence

import cv2
import numpy as np


def octave(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]
) -> np.ndarray:
    """Draws smooth periodic noise of order 1.

    Args:
      rng: the random stream.
      shape: rows and columns.
      cells: periods along each of them.

    Returns:
      float32 [h, w].
    """
    (height, width), (rows, columns) = shape, cells
    coarse = rng.standard_normal((rows, columns), np.float32)
    coarse = np.pad(coarse, ((0, 1), (0, 1)), mode="wrap")
    size = (width + width // columns, height + height // rows)
    return cv2.resize(coarse, size)[:height, :width]


def field(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cells: Sequence[int],
    *,
    falloff: float = 0.7,
) -> np.ndarray:
    """Draws periodic noise as a sum of octaves.

    Args:
      rng: the random stream.
      shape: rows and columns.
      cells: cells along the longer side of each octave, coarsest first.
      falloff: amplitude of an octave relative to the one before.

    Returns:
      float32 [h, w] of mean 0 and standard deviation of about 1.
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    power, amplitude = 0.0, 1.0
    for count in cells:
        step = max(max(shape) / count, 1.0)
        rows, columns = max(2, round(height / step)), max(2, round(width / step))
        total += amplitude * octave(rng, shape, (rows, columns))
        power += (0.7 * amplitude) ** 2  # Interpolation takes half of the variance.
        amplitude *= falloff
    return total / np.float32(power**0.5)


def tinted(
    rng: np.random.Generator, colour: Sequence[float], noise: np.ndarray, amount: float
) -> np.ndarray:
    """Returns a colour that varies with noise [h, w] in lightness and a little in hue.

    Returns:
      float32 [h, w, 3], RGB in about 0..1.
    """
    tint = amount * np.exp(rng.normal(0, 0.12, 3))
    return np.float32(colour) * (1 + noise[..., None] * np.float32(tint))


def mixed(
    rng: np.random.Generator, colours: Sequence[Sequence[float]], noise: np.ndarray
) -> np.ndarray:
    """Blends between colours by noise [h, w]; float32 [h, w, 3]."""
    hue = np.exp(rng.normal(0, 0.035, 3) + rng.normal(0, 0.02, (len(colours), 3)))
    table = np.array(colours) * hue
    places = np.linspace(0, len(colours) - 1, 256)
    fine = [np.interp(places, np.arange(len(colours)), c) for c in table.T]
    fine = np.stack(fine, axis=-1).astype(np.float32)
    return fine[np.clip(noise * 64 + 127.5, 0, 255).astype(np.uint8)]
