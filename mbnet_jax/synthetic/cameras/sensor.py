"""What the sensor and the encoder of a varied camera make of a scene."""

import cv2
import numpy as np

from mbnet_jax.synthetic.cameras.kinds import Kind

_GREY = np.float32([0.299, 0.587, 0.114])
_BOX = 1.1  # rows of a crop per row of its person


def capture(
    image: np.ndarray, kind: Kind, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Takes a picture of a scene; what `camera.expose` does, for a varied camera.

    Blur, noise, sharpening, interlacing and compression act on the pixels of the
    sensor, of which there may be fewer than in the output.

    Args:
      image: float32 [h, w, 3] RGB, 1 is white.
      kind: the camera's.
      rng: the image's random stream.

    Returns:
      uint8 [h, w, 3] RGB, and the JPEG quality to store it with.
    """
    height, width = image.shape[:2]
    image = _lighting(image, kind, rng)
    image = _motion(image, kind, rng)
    sensed = _BOX * kind.rows * rng.uniform(0.75, 1.25)  # rows
    rows = min(round(sensed), height)
    if rows < height:
        size = (max(round(width * rows / height), 8), rows)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    # Pixels of `image` per pixel of the sensor: 1, unless it has more.
    pixel = rows / sensed if rows == height else 1.0
    sigma = kind.blur * rng.uniform(0.8, 1.3) * pixel
    if sigma > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    image = _noise(image, kind, pixel, rng)
    if kind.sharpening > 0.05:
        soft = cv2.GaussianBlur(image, (0, 0), max(1.2 * pixel, 0.5))
        image = image + np.float32(kind.sharpening * pixel) * (image - soft)
    image = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    if kind.interlaced:
        shift = int(rng.integers(-2, 3))
        columns = np.clip(np.arange(image.shape[1]) - shift, 0, image.shape[1] - 1)
        image[1::2] = image[1::2, columns]
    quality = int(rng.integers(kind.jpeg, min(kind.jpeg + 12, 95) + 1))
    if rows == height:  # More pixels than these were compressed; losses average out.
        return image, round(95 - (95 - quality) * pixel)
    image = _compressed(image, quality)
    how = cv2.INTER_CUBIC if kind.smooth else cv2.INTER_LINEAR
    image = cv2.resize(image, (width, height), interpolation=how)
    return image, int(rng.integers(85, 96))


def _lighting(image: np.ndarray, kind: Kind, rng: np.random.Generator) -> np.ndarray:
    """Applies exposure, white balance, uneven light and the tone curve."""
    height, width = image.shape[:2]
    gain = kind.gain * np.exp(rng.normal(0, 0.1) + rng.normal(0, 0.015, 3))
    across, down = kind.uneven * rng.uniform(-1, 1, 2)
    slope = np.linspace(-down, down, height)[:, None] + np.linspace(
        -across, across, width
    )
    image = image * np.float32(1 + slope)[..., None]
    if kind.saturation != 1:
        # Infrared light is reflected much as red light is.
        weights = _GREY if kind.saturation > 0.1 else np.float32([0.6, 0.2, 0.2])
        grey = (image @ weights)[..., None]
        image = grey + np.float32(kind.saturation) * (image - grey)
    image = np.clip(image * np.float32(gain), 0, 1.15)
    image = cv2.pow(image, kind.contrast * float(np.exp(rng.normal(0, 0.05))))
    haze = np.float32(kind.haze * rng.uniform(0.7, 1.3))
    return image * (1 - haze) + haze


def _motion(image: np.ndarray, kind: Kind, rng: np.random.Generator) -> np.ndarray:
    """Blurs some images along the person's or the camera's movement."""
    moves, length, angle = rng.random(), rng.uniform(1.5, 6), rng.normal(0, 0.35)
    length *= image.shape[0] / 128
    if moves >= kind.motion:
        return image
    side = 2 * int(np.ceil(length / 2)) + 1
    y, x = np.indices((side, side)) - side // 2
    along = x * np.cos(angle) + y * np.sin(angle)
    off = y * np.cos(angle) - x * np.sin(angle)
    kernel = np.clip(1 - np.abs(off), 0, 1) * (np.abs(along) <= length / 2)
    return cv2.filter2D(
        image, -1, np.float32(kernel / kernel.sum()), borderType=cv2.BORDER_REPLICATE
    )


def _noise(
    image: np.ndarray, kind: Kind, pixel: float, rng: np.random.Generator
) -> np.ndarray:
    """Adds fine noise to the luminance, and coarser noise to the colour."""
    height, width = image.shape[:2]
    fine = rng.standard_normal((height, width, 1), np.float32)
    coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32)
    coarse = cv2.resize(coarse, (width, height))
    strength = np.float32(pixel * rng.uniform(0.8, 1.25))
    return image + strength * (
        np.float32(kind.noise) * fine + np.float32(kind.chroma) * coarse
    )


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """Encodes an image as JPEG and decodes it again; RGB."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", image[..., ::-1], flags)
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
