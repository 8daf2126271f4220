"""Label sets of human parsers, and their translation to the canonical labels.

The sets are those of the three models of SCHP (Li et al., "Self-Correction for Human
Parsing", TPAMI 2020), in the order of its `simple_extractor.py`
(https://github.com/GoGoDuck912/Self-Correction-Human-Parsing): LIP (Gong et al., CVPR
2017), ATR (Liang et al., TPAMI 2015) and Pascal-Person-Part (Chen et al., CVPR 2014).
ATR's order is also that of the SegFormer clothes parsers on the Hugging Face hub.
"""

import cv2
import numpy as np

from mbnet_jax.files import printable
from mbnet_jax.parsing.labels import (
    ARMS,
    BACKGROUND,
    CARRIED,
    HEAD,
    LEGS,
    LOWER_CLOTHES,
    NAMES,
    SHOES,
    UPPER_CLOTHES,
)

# Set -> (name, canonical part) of each label, in the order of the labels.
LABEL_SETS: dict[str, tuple[tuple[str, int], ...]] = {
    "canonical": tuple((name, part) for part, name in enumerate(NAMES)),
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
    # This set has limbs but no clothes. The half of a limb that clothes usually cover
    # counts as clothes, the outer half (with hand or foot) as the limb.
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

# Set -> the canonical part of each label, uint8 [256]; 0 beyond the set.
_PARTS = {
    label_set: np.array([*(part for _, part in labels), *[0] * 256], np.uint8)[:256]
    for label_set, labels in LABEL_SETS.items()
}


def check_label_set(label_set: str) -> None:
    """Refuses an unknown label set, and names the known ones."""
    if not isinstance(label_set, str) or label_set not in LABEL_SETS:
        raise ValueError(
            f"data.parsing_labels={label_set!r} is unknown; known: "
            f"{', '.join(LABEL_SETS)}"
        )


def to_canonical(labels: np.ndarray, label_set: str, name: str) -> np.ndarray:
    """Translates labels of a set to the canonical labels.

    Args:
      labels: integers [...], not empty.
      label_set: a key of `LABEL_SETS`.
      name: of the image, for error messages.

    Returns:
      uint8, of the shape of `labels`.

    Raises:
      ValueError: the set is unknown, or does not have one of the labels. The message
        names the sets that do. Or `labels` is empty, or no array of integers.
    """
    check_label_set(label_set)
    what = f"the parsing map of {printable(name)}"
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        kind = getattr(labels, "dtype", type(labels).__name__)
        raise ValueError(f"{what} must be an array of integers; it is {kind}")
    if not labels.size:
        raise ValueError(
            f"{what} is empty: {list(labels.shape)}; give a map of the image's size"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0:
        raise ValueError(f"{what} has the label {lowest}; labels start at 0")
    if highest < len(LABEL_SETS[label_set]):
        if labels.dtype == np.uint8 and labels.ndim == 2:
            # In a third of NumPy's time, and other threads run meanwhile.
            return cv2.LUT(np.ascontiguousarray(labels), _PARTS[label_set])
        return _PARTS[label_set][labels]
    fitting = [other for other, rows in LABEL_SETS.items() if highest < len(rows)]
    remedy = (
        f"it would fit {' or '.join(map(repr, fitting))}: see docs/parsing.md"
        if fitting
        else "it fits no label set: give maps whose pixels are the labels"
    )
    raise ValueError(
        f"{what} has the label {highest}, but "
        f"data.parsing_labels={label_set!r} ends at {len(LABEL_SETS[label_set]) - 1}; "
        f"{remedy}"
    )
