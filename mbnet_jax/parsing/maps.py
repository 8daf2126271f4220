"""Parsing maps as files: the one decoder, encoding, and where they are on disk.

The check before training, the loader, `Embedder`, search and preview all decode maps
here, so they take the same files.
"""

import io
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mbnet_jax.files import printable, read_bytes
from mbnet_jax.images import load_image
from mbnet_jax.parsing.label_sets import to_canonical
from mbnet_jax.parsing.voc import VOC_COLOURS, check_order, labels_of

# The command that error messages recommend for missing maps.
MAKE_MAPS = "mbnet-parse --config ... --model segformer"
# How a PNG file stores pixels, in Pillow's words. Grey of fewer than 8 bits is not
# among them, because Pillow scales it to 0..255, nor 16 bits, of which it drops 8.
_RAW_MODES = ("L", "P", "P;1", "P;2", "P;4", "RGB", "RGBA")
_KINDS = "a palette, 8-bit grey or 8-bit RGB PNG image"


def map_path(image: Path, root: Path, parsing_dir: Path) -> Path:
    """The path of an image's parsing map: `parsing_dir` mirrors `root`, in PNG files.

    Raises:
      ValueError: the map would be the image itself, or the image is not in `root`.
    """
    if not image.is_relative_to(root) or ".." in image.relative_to(root).parts:
        raise ValueError(
            f"{printable(image)} is outside of {printable(root)}, so data.parsing_dir "
            "cannot mirror it; move the image into that folder"
        )
    path = parsing_dir / image.relative_to(root).with_suffix(".png")
    if path == image:
        raise ValueError(
            f"the parsing map of {printable(image)} would be the image itself: "
            "data.parsing_dir must be another folder than the images'"
        )
    return path


def map_paths(
    images: Iterable[Path], root: Path, parsing_dir: Path
) -> dict[Path, Path]:
    """The `map_path` of each image: image -> map, in the order of the images.

    Raises:
      ValueError: as in `map_path`; or two images would share one map.
    """
    paths: dict[Path, Path] = {}
    owners: dict[Path, Path] = {}
    for image in images:
        path = paths[image] = map_path(image, root, parsing_dir)
        other = owners.setdefault(path, image)
        if other != image:
            raise ValueError(
                f"{printable(other)} and {printable(image)} would share the parsing "
                f"map {printable(path)}; rename one of the images"
            )
    return paths


def encode_parsing(labels: np.ndarray) -> bytes:
    """Encodes labels, uint8 [h, w], as a palette PNG file whose indices they are.

    Raises:
      ValueError: of another type or shape, or empty.
    """
    is_map = isinstance(labels, np.ndarray) and labels.dtype == np.uint8
    if not is_map or labels.ndim != 2 or not labels.size:
        kind = getattr(labels, "dtype", type(labels).__name__)
        raise ValueError(
            f"labels must be uint8 [height, width], not empty; they are {kind} "
            f"{list(getattr(labels, 'shape', []))}"
        )
    picture = Image.fromarray(labels)
    picture.putpalette(VOC_COLOURS.ravel().tolist())
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def check_map(
    path: Path,
    label_set: str | None,
    name: str,
    image_size: tuple[int, int] | None = None,
) -> None:
    """Refuses a map that the loader could not decode; decodes all of it.

    Args:
      path: of the map's file.
      label_set, name, image_size: as in `decode_parsing`. Without a label set, the
        labels are not checked.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: as in `decode_parsing`; or it is not a regular file.
      OSError: it cannot be read.
    """
    check_map_data(read_bytes(path), label_set, name, image_size)


def check_map_data(
    data: bytes,
    label_set: str | None,
    name: str,
    image_size: tuple[int, int] | None = None,
) -> None:
    """Does what `check_map` does, for the bytes of a map's file."""
    labels = read_labels(data, name)
    _check_size(labels, image_size, name)
    if label_set is not None:
        to_canonical(labels, label_set, name)


def decode_parsing(
    data: bytes,
    label_set: str,
    size: tuple[int, int],
    name: str,
    image_size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Decodes a parsing map to canonical labels, uint8 [H, W].

    Args:
      data: a PNG file: palette or 8-bit grey, whose indices or values are the labels,
        or 8-bit RGB in the PASCAL VOC colours of the labels, as in SCHP's palette.
        Transparency is ignored.
      label_set: the set of its labels, a key of `LABEL_SETS`. It is never guessed.
      size: (H, W) to resize to, by nearest neighbour.
      name: of the image, for error messages.
      image_size: (height, width) of the image, which the map must have too. None: it
        is not checked.

    Raises:
      ValueError: the file cannot be decoded, is of another kind, has another size than
        its image, or has a colour or a label that is not in the set.
    """
    return canonical_map(read_labels(data, name), label_set, size, name, image_size)


def canonical_map(
    labels: np.ndarray,
    label_set: str,
    size: tuple[int, int],
    name: str,
    image_size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Does what `decode_parsing` does, for labels, uint8 [h, w], that are decoded."""
    _check_size(labels, image_size, name)
    parts = to_canonical(labels, label_set, name)
    height, width = size
    # The exact kind samples at the centres of pixels, as the image's resizing does.
    return cv2.resize(parts, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def _check_size(
    labels: np.ndarray, image_size: tuple[int, int] | None, name: str
) -> None:
    if image_size is not None and labels.shape != tuple(image_size):
        (height, width), (rows, columns) = labels.shape, image_size
        raise ValueError(
            f"the parsing map of {printable(name)} is {width}x{height} pixels (width x "
            f"height), its image {columns}x{rows}; give a map of the image's size"
        )


def read_labels(data: bytes | Image.Image, name: str) -> np.ndarray:
    """Reads the labels, uint8 [h, w], of a PNG file or a Pillow image, untranslated.

    Raises:
      ValueError: the file cannot be decoded, is of another kind than `decode_parsing`
        takes, or has a colour that is not in the PASCAL VOC colour map.
    """
    what = f"the parsing map of {printable(name)}"
    picture = data if isinstance(data, Image.Image) else _opened(data, what)
    # Once Pillow has decoded an image, only its mode is known.
    stored = [tile.args for tile in getattr(picture, "tile", ())] or [picture.mode]
    if picture.format not in ("PNG", None):
        raise ValueError(f"{what} must be {_KINDS}; its format is {picture.format}")
    if not {*stored} <= {*_RAW_MODES}:
        raise ValueError(f"{what} must be {_KINDS}; its mode is {stored[0]}")
    if getattr(picture, "n_frames", 1) > 1:
        raise ValueError(f"{what} is animated; give {_KINDS} of one frame")
    load_image(picture, what)
    if picture.mode == "L":
        return np.asarray(picture)
    if picture.mode == "P":
        labels = np.asarray(picture)
        check_order(picture, labels, what)
        return labels
    pixels = np.asarray(picture)[..., :3]
    labels, unknown = labels_of(pixels)
    if unknown.any():
        colour = tuple(pixels[unknown][0].tolist())
        raise ValueError(
            f"{what} has the colour {colour}, which is not in the PASCAL VOC colour "
            "map; give maps whose pixels are the labels"
        )
    return labels.astype(np.uint8)


def _opened(data: bytes, what: str) -> Image.Image:
    """Opens a PNG file with Pillow: OpenCV would turn indices into colours."""
    try:
        return Image.open(io.BytesIO(data), formats=("PNG",))
    except Exception as error:  # Pillow's decoders raise of every class
        unknown = isinstance(error, Image.UnidentifiedImageError)
        reason = ("it is no PNG file" if unknown else error) if data else "it is empty"
        raise ValueError(
            f"{what} cannot be decoded ({reason}); replace the file"
        ) from error
