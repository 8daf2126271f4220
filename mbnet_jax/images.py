"""Image files: the one decoder, its limits, and resizing.

Everything that reads an image uses it: the check before training, the loader,
`Embedder`, search, the parser and the pages. So they all take the same files, and see
the same pixels in them.
"""

import contextlib
import ctypes
import io
import logging
import os
import threading
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

from mbnet_jax.files import printable, read_bytes

# What counts as an image file, in lower case, and the formats that are decoded.
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
# A photograph of 64 megapixels is decoded. A small file that claims to be 65,500 pixels
# wide and high is not; Pillow too refuses it, from a higher limit on.
MAX_PIXELS = 1 << 26
MAX_SIDE = 1 << 15
# A progressive JPEG file has about ten scans, each of all pixels. A small file may have
# thousands, which would take minutes.
_MAX_SCANS = 200
# Larger images are decoded one at a time, whatever the number of threads: the largest
# takes 700 MB.
_LARGE = 1 << 24
_ONE_LARGE = threading.Lock()
# Pillow's modes with at most 8 bits a channel, and 16 bits of grey.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
# ImageNet's mean and standard deviation of RGB in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_LIMIT = f"1 to {MAX_PIXELS:,} in all, at most {MAX_SIDE:,} a side, are decoded"
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# One error names a broken file. Pillow would also warn of each bad tag, and libtiff
# print each bad line.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
with contextlib.suppress(AttributeError, OSError):  # a build without that library
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads and decodes an image file to RGB, uint8 [h, w, 3].

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: it is not a regular file, or cannot be decoded.
      OSError: it cannot be read. All messages name the file.
    """
    return decode_image(read_bytes(Path(path)), os.fspath(path))


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decodes the bytes of an image file to RGB, uint8 [h, w, 3].

    The image is rotated by its EXIF orientation. An animation, or a file of several
    pages, gives its first image. 16 bits a channel are cut to the upper 8; transparency
    is ignored.

    Args:
      data: the file's bytes.
      name: of the file, for the error message.

    Raises:
      ValueError: the bytes cannot be decoded, or the image is beyond `MAX_PIXELS`, or
        of a kind without a defined conversion to 8 bits a channel.
    """
    what = f"the image of {printable(name)}"
    picture = _opened(data, what)
    large = picture.width * picture.height > _LARGE
    with _ONE_LARGE if large else contextlib.nullcontext():
        return to_rgb(load_image(picture, what), what)


def check_image(data: bytes, name: str) -> tuple[int, int]:
    """Decodes the bytes of an image file, and returns its height and width alone.

    Arguments and errors are those of `decode_image`, which takes a third longer: pixels
    in RGB need not be copied to be sound.
    """
    what = f"the image of {printable(name)}"
    picture = _opened(data, what)
    large = picture.width * picture.height > _LARGE
    with _ONE_LARGE if large else contextlib.nullcontext():
        picture = load_image(picture, what)
        if picture.mode != "RGB":  # its conversion may fail
            return to_rgb(picture, what).shape[:2]
        width, height = _upright(picture).size
        return height, width


def open_image(data: bytes, what: str, least: int | None = None) -> Image.Image:
    """Opens the bytes of an image file, and decodes its first image.

    Args:
      data: the file's bytes.
      what: names the image in messages.
      least: decode a JPEG at a fraction of its size that is at least this many pixels
        a side, which is faster. None: at its own size.

    Raises:
      ValueError: as in `decode_image`.
    """
    picture = _opened(data, what)
    if least is not None:
        check_size(*picture.size, what)
        picture.draft("RGB", (least, least))
    return load_image(picture, what)


def _opened(data: bytes, what: str) -> Image.Image:
    """Opens an image, and reads its header alone."""
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > _MAX_SCANS:
        raise _undecodable(what, f"it has more than {_MAX_SCANS} scans")
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise ValueError(f"{what} has too many pixels; {_LIMIT}") from None
    except Image.UnidentifiedImageError as error:  # its message shows an address
        reason = "it is not an image of a known format" if data else "it is empty"
        raise _undecodable(what, reason) from error
    except Exception as error:  # Pillow's decoders raise of every class
        raise _undecodable(what, error) from error


def check_size(width: int, height: int, what: str) -> None:
    """Refuses an image without pixels, or beyond `MAX_PIXELS` or `MAX_SIDE`."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or (
        width * height > MAX_PIXELS
    ):
        raise ValueError(f"{what} has {width:,} x {height:,} pixels; {_LIMIT}")


def load_image(picture: Image.Image, what: str) -> Image.Image:
    """Decodes an opened Pillow image, after a check of its size.

    Raises:
      ValueError: as in `decode_image`; `what` names the image.
    """
    check_size(*picture.size, what)
    try:
        picture.load()
    except Exception as error:  # Pillow's decoders raise of every class
        raise _undecodable(what, error) from error
    return picture


def _undecodable(what: str, reason: Exception | str) -> ValueError:
    text = str(reason)[:200] or type(reason).__name__
    return ValueError(f"{what} cannot be decoded ({text}); replace the file")


def to_rgb(picture: Image.Image, what: str) -> np.ndarray:
    """A decoded Pillow image as RGB, uint8 [h, w, 3], rotated by its orientation.

    Raises:
      ValueError: as in `decode_image`; `what` names the image.
    """
    mode = picture.mode
    if mode not in _MODES + _GREY_16:
        raise ValueError(
            f"{what} must have up to 8 bits a channel, or be 16-bit grey; its Pillow "
            f"mode is {mode}; convert it to RGB"
        )
    try:
        picture = _upright(picture)
        if mode in _GREY_16:
            grey = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        if mode in ("P", "PA"):  # its palette may be transparent
            picture = picture.convert("RGBA")
        return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    except Exception as error:  # also of broken palettes
        raise _undecodable(what, error) from error


def _upright(picture: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation says; as it is if that cannot be read."""
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # the pixels are whole, whatever the camera noted
        return picture
    return picture if turn is None else picture.transpose(turn)


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
