"""Parsing maps as human parsers make them: coarse, with parts missing or mixed up.

The random draws do not depend on the amount of errors, which only scales and selects
them: a map with a larger amount has the errors of a smaller one, and more.
"""

import cv2
import numpy as np

from mbnet_jax.parsing.labels import (
    ARMS,
    BACKGROUND,
    CARRIED,
    HEAD,
    LEGS,
    LOWER_CLOTHES,
    NUM_LABELS,
    SHOES,
    UPPER_CLOTHES,
)

_ROWS = 64  # of a parser's map, before it is enlarged
_TALL, _WIDE = 32, 16  # of the noise
# (part, what it is taken for, how often at the amount 1)
_TAKEN = (
    (LEGS, LOWER_CLOTHES, 0.2),
    (ARMS, UPPER_CLOTHES, 0.15),
    (CARRIED, BACKGROUND, 0.25),
    (CARRIED, UPPER_CLOTHES, 0.25),
    (SHOES, BACKGROUND, 0.15),
    (SHOES, LOWER_CLOTHES, 0.08),
    (LOWER_CLOTHES, UPPER_CLOTHES, 0.06),
    (UPPER_CLOTHES, LOWER_CLOTHES, 0.03),
)
# Another person, from above: parts, where they end, and how wide they are.
_DOWNWARDS = np.array([BACKGROUND, HEAD, UPPER_CLOTHES, LOWER_CLOTHES, SHOES], np.uint8)
_BORDERS = (0, 0.15, 0.5, 0.94)
_WIDTHS = np.array([0, 0.5, 1, 0.75, 0.65])


def parser_errors(
    label: np.ndarray, rng: np.random.Generator, amount: float, difficulty: float = 0.0
) -> np.ndarray:
    """Returns what a parser would make of an image whose exact map is `label`.

    Args:
      label: uint8 [h, w], canonical labels.
      rng: random stream of this map.
      amount: 0 (none) to 1 (a poor parser).
      difficulty: of the image, 0 to 1; see `difficulty_of`.

    Returns:
      uint8 [h, w], canonical labels.
    """
    luck = np.exp(rng.normal(0, 0.4))
    amount = min(amount * (0.5 + difficulty) * luck, 2.0)
    if amount == 0:
        return label.copy()
    mixed = _mixed_up(label, rng, amount)
    mixed = _spurious(mixed, rng, amount)
    return _coarse(mixed, rng, amount)


def difficulty_of(image: np.ndarray, rows: float) -> float:
    """How hard an image is for a parser, from 0 to 1: dark, flat, of few pixels.

    Args:
      image: uint8 [h, w, 3].
      rows: that the camera had for the person.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    dark = np.clip((80 - grey.mean()) / 60, 0, 1)
    flat = np.clip((45 - grey.std()) / 35, 0, 1)
    coarse = np.clip((140 - rows) / 100, 0, 1)
    return float(0.4 * coarse + 0.35 * dark + 0.25 * flat)


def _mixed_up(label: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
    """Takes whole parts, or pieces of them, for others."""
    label = label.copy()
    for part, other, share in _TAKEN:
        happens, all_of_it = rng.random(2)
        piece = rng.standard_normal((4, 3), np.float32)
        if happens < share * amount:
            place = label == part
            if all_of_it < 0.5:
                place &= cv2.resize(piece, place.shape[::-1]) > 0
            label[place] = other
    happens, far, lift = rng.random(3)
    person = label != BACKGROUND
    rows = np.flatnonzero(person.any(1))
    if not len(rows):
        return label
    tall = rows[-1] - rows[0] + 1
    if happens < 0.12 * amount:  # Hair, a hat, or the whole head is missed.
        end = rows[0] + round(0.06 * tall * (0.3 + 2 * far))
        top = label[:end]
        top[top == HEAD] = BACKGROUND
    # The border between upper and lower clothes is off.
    shift = 0.05 * amount * (2 * lift - 1)
    step = round(shift * tall)
    upper, lower = label == UPPER_CLOTHES, label == LOWER_CLOTHES
    if step > 0:
        label[:-step][upper[:-step] & lower[step:]] = LOWER_CLOTHES
    if step < 0:
        label[-step:][lower[-step:] & upper[:step]] = UPPER_CLOTHES
    happens, side = rng.random(2)
    if happens < 0.1 * amount:  # An arm is missed.
        arms = label == ARMS
        label[arms & _side(arms, side < 0.5)] = BACKGROUND
    return label


def _side(place: np.ndarray, left: bool) -> np.ndarray:
    """Returns the half of the image on one side of a region's middle, bool [1, w]."""
    columns = np.flatnonzero(place.any(0))
    middle = (columns[0] + columns[-1]) / 2 if len(columns) else 0
    column = np.arange(place.shape[1])[None]
    return column <= middle if left else column > middle


def _spurious(label: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
    """Adds what is not the person: others beside them, and what hides them."""
    height, width = label.shape
    beside, filled, side, share, top, island = rng.random(6)
    kind = rng.integers(1, NUM_LABELS)
    x, y, wide, tall = rng.uniform(0, 1, 4)
    if beside < 0.18 * amount:  # Half of another person, at the edge.
        rows = (np.arange(height) / height - 0.3 * top) / (1 - 0.3 * top)
        part = np.digitize(rows, _BORDERS)
        reach = width * (0.06 + 0.25 * share) * _WIDTHS[part]
        column = np.arange(width)
        column = column if side < 0.5 else column[::-1]
        place = (column < reach[:, None]) & (label == BACKGROUND)
        label = np.where(place, _DOWNWARDS[part][:, None], label)
    if island < 0.25 * amount:
        blob = np.zeros_like(label)
        centre = (int(x * width), int(y * height))
        axes = (int(width * (0.04 + 0.1 * wide)), int(height * (0.02 + 0.08 * tall)))
        cv2.ellipse(blob, centre, axes, 0, 0, 360, 1, -1)
        label[(blob > 0) & (label == BACKGROUND)] = kind
    if filled < 0.15 * amount:
        label = _filled(label)
    return label


def _filled(label: np.ndarray) -> np.ndarray:
    """Takes what is in front of the person, and between their legs, for the person."""
    person = (label != BACKGROUND).astype(np.uint8)
    points = cv2.findNonZero(person)
    if points is None:
        return label
    hull = cv2.fillConvexPoly(np.zeros_like(label), cv2.convexHull(points), 1)
    _, nearest = cv2.distanceTransformWithLabels(
        1 - person, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_pixel = np.zeros(nearest.max() + 1, np.uint8)
    of_pixel[nearest[person > 0]] = label[person > 0]
    filled = of_pixel[nearest]
    return np.where(hull > 0, filled, label)


def _coarse(label: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
    """Displaces the borders, and enlarges noisy probabilities of fewer rows."""
    height, width = label.shape
    wave = rng.standard_normal((_TALL, _WIDE, 2), np.float32)
    doubt = rng.standard_normal((_TALL // 2, _WIDE // 2, NUM_LABELS), np.float32)
    wave = cv2.resize(wave, (width, height), interpolation=cv2.INTER_CUBIC)
    wave *= 0.012 * min(amount, 1.5) * height
    row, column = np.indices(label.shape, np.float32)
    label = cv2.remap(
        label,
        column + wave[..., 0],
        row + wave[..., 1],
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    )
    rows = min(round(_ROWS / max(amount, 0.5)), height)
    size = (max(round(width * rows / height), 8), rows)
    share = (label[..., None] == np.arange(NUM_LABELS, dtype=np.uint8)).view(np.uint8)
    # OpenCV shrinks by area four channels at a time.
    share = np.concatenate(
        [
            cv2.resize(half, size, interpolation=cv2.INTER_AREA)
            for half in np.split(share.astype(np.float32), NUM_LABELS // 4, axis=2)
        ],
        axis=2,
    )
    share = cv2.GaussianBlur(share, (0, 0), 0.35 + 0.4 * min(amount, 1))
    doubt = cv2.resize(doubt, size, interpolation=cv2.INTER_CUBIC)
    # Parts that are nowhere in the map are seldom seen by mistake.
    doubt -= 2.0 * (share.max((0, 1)) < 0.5)
    share += 0.16 * min(amount, 1.5) * doubt
    return cv2.resize(share, (width, height)).argmax(-1).astype(np.uint8)
