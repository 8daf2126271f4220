"""Image files: which there are, how they are decoded, resized and normalised."""

import cv2
import numpy as np

# What counts as an image file, in lower case. OpenCV decodes GIF from 4.11 on.
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
# ImageNet's mean and standard deviation of RGB in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decodes an image file to RGB, uint8 [h, w, 3].

    Args:
      data: the file's bytes.
      name: of the file, for the error message.

    Raises:
      ValueError: the bytes cannot be decoded.
    """
    pixels = np.frombuffer(data, np.uint8)
    # OpenCV raises on empty input, and returns None for what it cannot decode.
    image = cv2.imdecode(pixels, cv2.IMREAD_COLOR_RGB) if len(pixels) else None
    if image is None:
        raise ValueError(f"the image of {name} cannot be decoded; replace the file")
    return image


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes an image [h, w, ...] to (H, W).

    Averages over areas if the height shrinks, and interpolates bilinearly otherwise.
    """
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] > height
    return cv2.resize(
        image,
        (width, height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
