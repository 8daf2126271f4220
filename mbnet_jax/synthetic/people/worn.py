"""Colours and labels of accessories: rigid parts, and what is painted on the body."""

import numpy as np

from mbnet_jax.synthetic.clothes.accessories import KINDS
from mbnet_jax.synthetic.clothes.garments import Accessory, Outfit
from mbnet_jax.synthetic.people.body import Body

EYES_Y = 0.898  # canonical height in metres
WORN = 5  # kind of the faces of the outfit's first accessory; the others follow


def _second(item: Accessory, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Returns where an accessory shows its second colour, bool [n]; local metres."""
    fancy = item.size * 1000 % 1  # whether this one has a pattern
    if item.kind in ("backpack", "child_bag"):
        pocket = (y < -0.02) & (y > -0.16) & (np.abs(x) < 0.1) & (z < -0.02)
        return pocket | (np.abs(y - 0.1) < 0.012)
    if item.kind == "beanie":
        return (y < 0.015) | ((y % 0.04 < 0.015) & (fancy < 0.4))
    if item.kind == "brim":
        return (y > 0.0) & (y < 0.028)
    if item.kind in ("scarf", "headscarf"):
        return ((x + y) % 0.07 < 0.025) & (fancy < 0.4)
    if item.kind == "umbrella":
        turn = np.floor(np.arctan2(x, z) / np.pi * 4)
        return (turn % 2 == 0) & (fancy < 0.4)
    if item.kind == "trolley":
        return x % 0.08 < 0.012
    if item.kind == "box":
        return np.abs(x) < 0.02
    if item.kind in ("shoulder_bag", "handbag"):
        return (np.abs(y - 0.04) < 0.01) | ((y > 0.04) & (fancy < 0.3))
    return np.zeros(len(x), bool)


def paint_parts(
    kind: np.ndarray,
    canonical: np.ndarray,
    outfit: Outfit,
    rgb: np.ndarray,
    label: np.ndarray,
) -> None:
    """Paints the points of rigid accessories, in place (see `paint.paint`)."""
    for number, item in enumerate(outfit.accessories):
        where = np.flatnonzero(kind == WORN + number)
        if len(where):
            x, y, z = canonical[where, :3].T
            # Parts in one colour have their centre far away (see `fitting.Part`).
            second = _second(item, x, y, z) | (np.abs(y) > 2)
            rgb[where] = item.colours[second.astype(np.int64)]
            label[where] = KINDS[item.kind]


def paint_on_body(p, outfit: Outfit, rgb: np.ndarray, label: np.ndarray) -> None:
    """Paints masks, gloves and straps on the body's points, in place.

    Args:
      p: the points, by the names that `paint` gives their coordinates.
      outfit: the clothes.
      rgb: float64 [n, 3].
      label: uint8 [n].
    """
    side = np.abs(p.x)
    for item in outfit.accessories:
        where = None
        if item.kind == "mask":
            upper = 0.878 - 0.35 * np.maximum(side - 0.015, 0)
            where = p.head & (p.z > 0.07) & (p.y < upper) & (side < 0.07)
            where &= p.y > 0.785 + 0.5 * np.maximum(side - 0.03, 0)
            band = (np.abs(p.y - 0.868) < 0.003) | (np.abs(p.y - 0.838) < 0.003)
            where |= p.head & band & (side > 0.06) & (p.z > 0.045) & (p.z < 0.1)
        if item.kind in ("glasses", "sunglasses"):
            u, v = (side - 0.034) / 0.029, (p.y - EYES_Y) / 0.022
            radius, near = u * u + v * v, p.head & (p.z > 0.05)
            lens = near & (p.z > 0.08) & (radius < item.size)
            temple = near & (side > 0.055) & (np.abs(p.y - 0.903) < 0.005)
            where = (lens & ((radius > 0.45) | (item.kind == "sunglasses"))) | temple
        if item.kind == "gloves":
            where = p.on_arm & (p.arm > 1.9)
        torso = p.trunk & (p.y > 0.2)
        if item.kind in ("backpack", "child_bag"):
            strap = torso & p.front & (np.abs(side - 0.1) < 0.02)
            where = strap & (p.y > 0.42)
        if item.kind == "shoulder_bag":
            # From the far shoulder (-0.1, 0.7) to the near hip (0.17, 0.15).
            x = p.x * item.side
            where = torso & (np.abs(x - 0.245 + 0.49 * p.y) < 0.018)
        if where is not None:
            rgb[where] = item.colours[0]
            label[where] = KINDS[item.kind]


def inflate(body: Body, outfit: Outfit, amount: np.ndarray) -> None:
    """Adds the thickness of masks and gloves to the body's [V], in place; metres."""
    x, y, z = body.canonical.T
    if outfit.has("mask"):
        mouth = (y < 0.872) & (y > 0.79) & (z > 0.1) & (np.abs(x) < 0.055)
        amount[mouth & (body.head_weight > 0.5)] = 0.008
    if outfit.has("gloves"):
        hands = (body.arm_weight > 0.5) & (body.arm_coordinate > 1.95)
        amount[hands] = np.maximum(amount[hands], 0.005)
