"""Image files: how they are decoded, resized and normalised."""

import cv2
import numpy as np

# ImageNet's mean and standard deviation of RGB in [0, 1].
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# What the names of image files end in, in lower case.
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decodes an image file to RGB, uint8 [h, w, 3]; `name` is for the message.

    Raises:
      ValueError: for bytes that are no image.
    """
    pixels = np.frombuffer(data, np.uint8)
    # OpenCV raises on no bytes at all, and returns None for others it cannot read.
    image = cv2.imdecode(pixels, cv2.IMREAD_COLOR_RGB) if len(pixels) else None
    if image is None:
        raise ValueError(f"the image of {name} cannot be decoded; replace the file")
    return image


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes to H, W: averaged over areas where it shrinks, else bilinear."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] > height
    return cv2.resize(
        image,
        (width, height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
