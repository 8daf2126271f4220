"""Parsing maps as files: encoding, decoding, and where they are on disk."""

import io
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mbnet_jax.parsing.label_sets import to_canonical

MAPS_FILE = "maps.json"  # in a folder of maps that were made here: what made them
# The command that error messages recommend for missing maps.
MAKE_MAPS = "mbnet-parse --config ... --model FILE.onnx --labels atr"


def _voc_colours() -> np.ndarray:
    """The PASCAL VOC colour map, uint8 [256, 3]: label -> RGB.

    Bits 0, 3, 6 of a label are red's highest bits, 1, 4, 7 green's, 2, 5 blue's.
    """
    labels = np.arange(256)
    colours = np.zeros((256, 3), np.int64)
    for bit in range(8):
        colours[:, bit % 3] |= (labels >> bit & 1) << (7 - bit // 3)
    return colours.astype(np.uint8)


VOC_COLOURS = _voc_colours()


def _packed(colours: np.ndarray) -> np.ndarray:
    """RGB [..., 3] as one integer [...]."""
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    return red << 16 | green << 8 | blue


_PACKED = _packed(VOC_COLOURS)
_SORTED = np.argsort(_PACKED)


def map_path(image: Path, root: Path, parsing_dir: Path) -> Path:
    """The path of an image's parsing map: `parsing_dir` mirrors `root`, in PNG files.

    Raises:
      ValueError: the map would be the image itself, or the image is not in `root`.
    """
    if not image.is_relative_to(root):
        raise ValueError(
            f"{image} is outside of {root}, so data.parsing_dir cannot mirror it"
        )
    path = parsing_dir / image.relative_to(root).with_suffix(".png")
    if path == image:
        raise ValueError(
            f"the parsing map of {image} would be the image itself: data.parsing_dir "
            "must be another folder than the images'"
        )
    return path


def check_maker(
    parsing_dir: Path, label_set: str, flag: str = "config.data.parsing_labels"
) -> None:
    """Refuses maps that `mbnet-parse` made in another label set.

    `flag` is the one that the error message recommends.
    """
    path = parsing_dir / MAPS_FILE
    if not path.is_file():
        return
    made_in = json.loads(path.read_text())["labels"]
    if made_in != label_set:
        raise ValueError(
            f"data.parsing_labels={label_set!r}, but the maps in {parsing_dir} were "
            f"made with --labels={made_in}: give --{flag}={made_in}"
        )


def encode_parsing(labels: np.ndarray) -> bytes:
    """Encodes labels, uint8 [h, w], as a palette PNG file whose indices they are."""
    picture = Image.fromarray(labels)
    picture.putpalette(VOC_COLOURS.ravel().tolist())
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def decode_parsing(
    data: bytes, label_set: str, size: tuple[int, int], name: str
) -> np.ndarray:
    """Decodes a parsing map to canonical labels, uint8 [H, W].

    Args:
      data: a PNG file: palette or grey, whose indices or values are the labels, or
        RGB in the PASCAL VOC colours of the labels, as in SCHP's palette.
      label_set: the set of its labels, a key of `LABEL_SETS`. It is never guessed.
      size: (H, W) to resize to, by nearest neighbour.
      name: of the image, for error messages.

    Raises:
      ValueError: the file cannot be decoded, is of another kind, or has a colour or a
        label that is not in the set.
    """
    return canonical_map(read_labels(data, name), label_set, size, name)


def canonical_map(
    labels: np.ndarray, label_set: str, size: tuple[int, int], name: str
) -> np.ndarray:
    """Does what `decode_parsing` does, for labels, uint8 [h, w], that are decoded."""
    height, width = size
    # The exact kind samples at the centres of pixels, as the image's resizing does.
    return cv2.resize(
        to_canonical(labels, label_set, name),
        (width, height),
        interpolation=cv2.INTER_NEAREST_EXACT,
    )


def read_labels(data: bytes | Image.Image, name: str) -> np.ndarray:
    """Reads the labels, uint8 [h, w], of a PNG file or a Pillow image, untranslated.

    Raises:
      ValueError: the file cannot be decoded, is of another kind than `decode_parsing`
        takes, or has a colour that is not in the PASCAL VOC colour map.
    """
    # Pillow, because OpenCV would turn a palette's indices into colours.
    try:
        is_file = isinstance(data, bytes)
        picture = Image.open(io.BytesIO(data)) if is_file else data
        picture.load()
    except (OSError, SyntaxError) as error:  # what Pillow raises on broken files
        raise ValueError(
            f"the parsing map of {name} cannot be decoded; replace the file"
        ) from error
    if picture.mode in ("L", "P"):
        return np.asarray(picture)
    if picture.mode not in ("RGB", "RGBA"):
        raise ValueError(
            f"the parsing map of {name} must be a palette, 8-bit grey or RGB image; "
            f"its mode is {picture.mode}"
        )
    pixels = np.asarray(picture)[..., :3]
    packed = _packed(pixels)
    position = np.searchsorted(_PACKED, packed, sorter=_SORTED)
    labels = _SORTED[np.minimum(position, len(_SORTED) - 1)]
    unknown = _PACKED[labels] != packed
    if unknown.any():
        colour = tuple(pixels[unknown][0].tolist())
        raise ValueError(
            f"the parsing map of {name} has the colour {colour}, which is not in the "
            "PASCAL VOC colour map; give maps whose pixels are the labels"
        )
    return labels.astype(np.uint8)
