"""Meshes of accessories, and where hands hold them."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from mbnet_jax.synthetic.clothes.garments import Accessory, Outfit
from mbnet_jax.synthetic.people import headwear
from mbnet_jax.synthetic.people.fitting import Fitting, Hold, Part
from mbnet_jax.synthetic.people.shapes import box, ellipsoid, lathe, vector


def _backpack(f: Fitting, item: Accessory) -> Iterator[Part]:
    child = item.kind == "child_bag"
    half = np.array([0.12, 0.15, 0.075] if child else [0.155, 0.22, 0.095]) * item.size
    centre = f.near(0, 0.5, -0.1) - vector(0, 0, 0.85 * half[2])
    yield Part(ellipsoid(centre, half, 0.45), centre, "spine_03")


def _shoulder_bag(f: Fitting, item: Accessory) -> Iterator[Part]:
    centre = f.near(0.2 * item.side, 0.14, 0) - vector(-0.05 * item.side, 0, 0)
    half = np.array([0.045, 0.11, 0.15]) * item.size
    yield Part(ellipsoid(centre, half, 0.4), centre, "pelvis")


def _handbag(f: Fitting, item: Accessory) -> Iterator[Part]:
    palm = f.palm(item.side)
    half = np.array([0.05, 0.13, 0.16]) * item.size
    centre = palm - vector(0, 0.09 + half[1], 0)
    yield Part(ellipsoid(centre, half, 0.45), centre, "hanging")
    for ahead in (-0.4, 0.4):  # the handles
        strap = palm + vector(0, -0.06, ahead * half[2] * 0.6)
        yield Part(box(strap, np.array([0.006, 0.07, 0.006])), centre, "hanging")


def _trolley(f: Fitting, item: Accessory) -> Iterator[Part]:
    palm, floor = f.palm(item.side), f.floor()
    half = np.array([0.2, 0.28, 0.11]) * item.size
    at = np.array([palm[0] + 0.03 * item.side, floor + 0.05 + half[1], palm[2] - 0.2])
    yield Part(ellipsoid(at, half, 0.3), at, "rolling", boxed=False)
    # The hand is held at three quarters of the height of the shoulder's drop.
    top = floor + _reach(f, item.side)[1] - floor
    low = at[1] + half[1]
    middle = np.array([at[0], (top + low) / 2, palm[2] - 0.06])
    rods = np.array([0.006, max(0.02, (top - low) / 2), 0.008])
    for x in (-0.07, 0.07):
        mesh = box(middle + vector(x, 0, 0), rods)
        yield Part(mesh, at + vector(0, 5, 0), "rolling", boxed=False)
    bar = middle + vector(0, rods[1], 0.02)
    mesh = box(bar, np.array([0.08, 0.012, 0.012]))
    yield Part(mesh, at + vector(0, 5, 0), "rolling", boxed=False)


def _reach(f: Fitting, side: int) -> np.ndarray:
    """Where a hand pulls a trolley: hanging, a little out and back."""
    s = "l" if side > 0 else "r"
    shoulder = f.joint(f"upperarm_{s}")
    bones = (shoulder, f.joint(f"lowerarm_{s}"), f.joint(f"hand_{s}"))
    upper, lower = (np.linalg.norm(b - a) for a, b in itertools.pairwise(bones))
    return shoulder + vector(0.09 * side, -0.96 * (upper + 1.3 * lower), -0.1)


def _umbrella_grip(f: Fitting, side: int) -> np.ndarray:
    shoulder = f.joint("upperarm_l" if side > 0 else "upperarm_r")
    return shoulder + vector(-0.07 * side, -0.17, 0.27)


def _umbrella(f: Fitting, item: Accessory) -> Iterator[Part]:
    grip = _umbrella_grip(f, item.side)
    top = np.array([grip[0], f.head[1] + f.crown + 0.16, grip[2]])
    radius = 0.48 * item.size
    rings = [(0.17, 0.01, 0.01, 0), (0.155, 0.35 * radius, 0.35 * radius, 0)]
    rings += [(0.1, 0.7 * radius, 0.7 * radius, 0), (0.0, radius, radius, 0)]
    yield Part(lathe(top, rings), top, "spine_03", boxed=False)
    middle = np.array([grip[0], (grip[1] + top[1] + 0.1) / 2, grip[2]])
    stick = np.array([0.007, (top[1] + 0.22 - grip[1]) / 2, 0.007])
    # A box of the person spans the stick, so it shows a part of the canopy.
    yield Part(box(middle, stick), top + vector(0, 5, 0), "spine_03")


def _box_place(f: Fitting, item: Accessory) -> tuple[np.ndarray, np.ndarray]:
    half = np.array([0.19, 0.13 + 0.3 * (item.size - 1), 0.14]) * item.size
    belly = f.near(0, 0.4, 0.12)
    return belly + vector(0, 0.02, half[2] + 0.03), half


def _box(f: Fitting, item: Accessory) -> Iterator[Part]:
    centre, half = _box_place(f, item)
    yield Part(box(centre, half), centre, "spine_03")


def _ear(f: Fitting, side: int) -> np.ndarray:
    return f.near(0.085 * side, 0.88, 0.05)


def _phone(f: Fitting, item: Accessory) -> Iterator[Part]:
    centre = _ear(f, item.side) + vector(0.014 * item.side, -0.03, 0.02)
    yield Part(box(centre, np.array([0.006, 0.07, 0.034])), centre, "head")


_MESHES: dict[str, Callable[[Fitting, Accessory], Iterator[Part]]] = {
    "cap": headwear.cap,
    "beanie": headwear.beanie,
    "brim": headwear.brim,
    "headscarf": headwear.wrap,
    "hood": headwear.wrap,
    "scarf": headwear.scarf,
    "backpack": _backpack,
    "child_bag": _backpack,
    "shoulder_bag": _shoulder_bag,
    "handbag": _handbag,
    "trolley": _trolley,
    "umbrella": _umbrella,
    "box": _box,
    "phone": _phone,
}


def parts_of(f: Fitting, outfit: Outfit) -> Iterator[tuple[int, Part]]:
    """Yields the parts of an outfit's accessories, with the accessory's index."""
    for number, item in enumerate(outfit.accessories):
        if item.kind in _MESHES:  # Others are painted on the body.
            for part in _MESHES[item.kind](f, item):
                yield number, part


def holds_of(f: Fitting, outfit: Outfit) -> Iterator[Hold]:
    """Yields where hands are held by an outfit's accessories."""
    for item in outfit.accessories:
        out = np.array([item.side, 0.0, 0.0])
        if item.kind == "trolley":
            yield Hold(item.side, _reach(f, item.side), out - vector(0, 0, 1.0))
        if item.kind == "umbrella":
            yield Hold(
                item.side, _umbrella_grip(f, item.side), out * 0.6 - vector(0, 1, 0)
            )
        if item.kind == "phone":
            place = _ear(f, item.side) + vector(0.05 * item.side, -0.1, 0.02)
            yield Hold(item.side, place, out + vector(0, -1, 0.3))
        if item.kind == "box":
            centre, half = _box_place(f, item)
            for side in (1, -1):
                place = centre + vector(side * (half[0] + 0.01), -0.5 * half[1], 0.0)
                yield Hold(side, place, np.array([0.5 * side, -1, -0.5]))
