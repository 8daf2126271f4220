"""Parsing maps as files: label sets, their translation to ours, and where maps lie.

The sets are those of the three models of SCHP (Li et al., "Self-Correction for Human
Parsing", TPAMI 2020), in the order of its `simple_extractor.py`
(https://github.com/GoGoDuck912/Self-Correction-Human-Parsing): LIP (Gong et al., CVPR
2017), ATR (Liang et al., TPAMI 2015) and Pascal-Person-Part (Chen et al., CVPR 2014).
ATR's order is also that of the SegFormer clothes parsers on the Hugging Face hub.
"""

import io
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.parsing.labels import (
    ARMS,
    BACKGROUND,
    CARRIED,
    HEAD,
    LEGS,
    LOWER_CLOTHES,
    SHOES,
    UPPER_CLOTHES,
)

MAPS_FILE = "maps.json"  # beside maps that were made here: with what
# What messages advise where maps are missing.
MAKE_MAPS = "mbnet-parse --config ... --model FILE.onnx --labels atr"
# Name of a set -> of each label, in order, its name and its canonical part.
LABEL_SETS: dict[str, tuple[tuple[str, int], ...]] = {
    "canonical": tuple((name, part) for part, name in enumerate(parsing.NAMES)),
    "lip": (
        ("background", BACKGROUND),
        ("hat", HEAD),
        ("hair", HEAD),
        ("glove", ARMS),
        ("sunglasses", HEAD),
        ("upper clothes", UPPER_CLOTHES),
        ("dress", UPPER_CLOTHES),
        ("coat", UPPER_CLOTHES),
        ("socks", LEGS),
        ("pants", LOWER_CLOTHES),
        ("jumpsuits", UPPER_CLOTHES),
        ("scarf", UPPER_CLOTHES),
        ("skirt", LOWER_CLOTHES),
        ("face", HEAD),
        ("left arm", ARMS),
        ("right arm", ARMS),
        ("left leg", LEGS),
        ("right leg", LEGS),
        ("left shoe", SHOES),
        ("right shoe", SHOES),
    ),
    "atr": (
        ("background", BACKGROUND),
        ("hat", HEAD),
        ("hair", HEAD),
        ("sunglasses", HEAD),
        ("upper clothes", UPPER_CLOTHES),
        ("skirt", LOWER_CLOTHES),
        ("pants", LOWER_CLOTHES),
        ("dress", UPPER_CLOTHES),
        ("belt", LOWER_CLOTHES),
        ("left shoe", SHOES),
        ("right shoe", SHOES),
        ("face", HEAD),
        ("left leg", LEGS),
        ("right leg", LEGS),
        ("left arm", ARMS),
        ("right arm", ARMS),
        ("bag", CARRIED),
        ("scarf", UPPER_CLOTHES),
    ),
    # This set knows limbs and no clothes. The half of a limb that clothes usually
    # cover counts as clothes, the outer half (with hand or foot) as the limb.
    "pascal": (
        ("background", BACKGROUND),
        ("head", HEAD),
        ("torso", UPPER_CLOTHES),
        ("upper arms", UPPER_CLOTHES),
        ("lower arms", ARMS),
        ("upper legs", LOWER_CLOTHES),
        ("lower legs", LEGS),
    ),
}


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
    """RGB [..., 3] as one number [...]."""
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    return red << 16 | green << 8 | blue


_PACKED = _packed(VOC_COLOURS)
_IN_ORDER = np.argsort(_PACKED)


def check_label_set(labels: str) -> None:
    """Refuses the name of a label set that is not there, with those that are."""
    if labels not in LABEL_SETS:
        raise ValueError(
            f"data.parsing_labels={labels!r} is unknown; known: {', '.join(LABEL_SETS)}"
        )


def map_path(image: Path, root: Path, parsing_dir: Path) -> Path:
    """Where the map of `image` lies: `parsing_dir` mirrors `root`, in PNG files.

    Raises:
      ValueError: if that is the image itself, or the image is not in `root`.
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
    parsing_dir: Path, labels: str, flag: str = "config.data.parsing_labels"
) -> None:
    """Refuses maps that `mbnet_jax.commands.parse` made in another label set.

    `flag` is the one that the message advises.
    """
    path = parsing_dir / MAPS_FILE
    if not path.is_file():
        return
    made_in = json.loads(path.read_text())["labels"]
    if made_in != labels:
        raise ValueError(
            f"data.parsing_labels={labels!r}, but the maps in {parsing_dir} were made "
            f"with --labels={made_in}: give --{flag}={made_in}"
        )


def encode_parsing(labels: np.ndarray) -> bytes:
    """A palette PNG file whose indices are `labels`, uint8 [h, w]."""
    picture = Image.fromarray(labels)
    picture.putpalette(VOC_COLOURS.ravel().tolist())
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def decode_parsing(
    data: bytes, labels: str, size: tuple[int, int], name: str
) -> np.ndarray:
    """Decodes a parsing map to canonical labels, uint8 [H, W].

    Args:
      data: a PNG file: palette or grey, whose indices or values are the labels, or
        RGB in the PASCAL VOC colours of the labels, as SCHP's palette has them.
      labels: the file's label set, of `LABEL_SETS`. It is never guessed.
      size: H, W to resize to, by nearest neighbour.
      name: of the image, for messages.

    Raises:
      ValueError: naming the file, if it cannot be decoded or is of another kind, or
        has a colour or a label that the set does not have.
    """
    return canonical_map(read_labels(data, name), labels, size, name)


def canonical_map(
    found: np.ndarray, labels: str, size: tuple[int, int], name: str
) -> np.ndarray:
    """`decode_parsing` of a map whose labels are read already, uint8 [h, w]."""
    check_label_set(labels)
    _check_range(found, labels, name)
    table = np.array([part for _, part in LABEL_SETS[labels]], np.uint8)
    # The exact kind samples at the centres of pixels, as the image's resizing does.
    height, width = size
    return cv2.resize(
        table[found], (width, height), interpolation=cv2.INTER_NEAREST_EXACT
    )


def read_labels(data: bytes | Image.Image, name: str) -> np.ndarray:
    """The labels, uint8 [h, w], as they are in the file or in the Pillow image.

    Raises:
      ValueError: as `decode_parsing`, but for labels that the set does not have.
    """
    # Pillow, since OpenCV would turn a palette's indices into colours.
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
    wanted = _packed(pixels)
    place = np.searchsorted(_PACKED, wanted, sorter=_IN_ORDER)
    found = _IN_ORDER[np.minimum(place, len(_IN_ORDER) - 1)]
    unknown = _PACKED[found] != wanted
    if unknown.any():
        colour = tuple(pixels[unknown][0].tolist())
        raise ValueError(
            f"the parsing map of {name} has the colour {colour}, which is not in the "
            "PASCAL VOC colour map; give maps whose pixels are the labels"
        )
    return found


def _check_range(found: np.ndarray, labels: str, name: str) -> None:
    """Refuses labels that the set does not have, with the sets that have them."""
    highest = int(found.max())
    count = len(LABEL_SETS[labels])
    if highest < count:
        return
    fitting = [other for other, rows in LABEL_SETS.items() if highest < len(rows)]
    remedy = (
        f"it would fit {' or '.join(map(repr, fitting))}: see docs/parsing.md"
        if fitting
        else "it fits no label set: give maps whose pixels are the labels"
    )
    raise ValueError(
        f"the parsing map of {name} has the label {highest}, but "
        f"data.parsing_labels={labels!r} ends at {count - 1}; {remedy}"
    )
