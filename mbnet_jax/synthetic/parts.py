"""Meshes of what a person wears on the head or carries, and where hands hold it."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from mbnet_jax.synthetic.body import BODY, Body
from mbnet_jax.synthetic.garments import Accessory, Outfit
from mbnet_jax.synthetic.shapes import box, ellipsoid, lathe, vector

Mesh = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Part:
    """A rigid part of an accessory, at rest.

    Attributes:
      mesh: float32 [V, 3] vertices, int [F, 3] faces.
      centre: float [3]; the part is painted in coordinates from here.
      bone: name of the bone it belongs to; "hanging" and "rolling" follow the hand
        without turning, the latter on the floor.
      boxed: whether a detector's box of the person spans it.
    """

    mesh: Mesh
    centre: np.ndarray
    bone: str
    boxed: bool = True


@dataclasses.dataclass(frozen=True)
class Hold:
    """Where a hand is held: side (1 left, -1 right), and, in the rest pose's axes, the
    place of the palm [3] and the direction [3] in which the elbow points."""

    side: int
    place: np.ndarray
    elbow: np.ndarray


class Fitting:
    """The person's measures, to which accessories are fitted; metres."""

    def __init__(self, body: Body, vertices: np.ndarray, joints: np.ndarray):
        """Measures a person by the mesh at rest."""
        self._body, self._vertices, self._joints = body, vertices, joints
        self._own = np.unique(body.faces[body.face_mesh == BODY])
        brow, nape = self.near(0, 0.93, 0.16), self.near(0, 0.93, -0.045)
        self.wide = self.near(0.077, 0.93, 0.05)[0] + 0.006
        self.deep = (brow[2] - nape[2]) / 2 + 0.006
        self.head = np.array([0, brow[1], (brow[2] + nape[2]) / 2])
        self.crown = self.near(0, 1.014, 0.05)[1] - brow[1]

    def near(self, *point: float) -> np.ndarray:
        """Returns the person's vertex [3] that is nearest to a canonical point."""
        away = ((self._body.canonical[self._own] - point) ** 2).sum(1)
        return self._vertices[self._own[np.argmin(away)]]

    def joint(self, name: str) -> np.ndarray:
        """Returns a rest joint [3]."""
        return self._joints[self._body.bones.index(name)]

    def palm(self, side: int) -> np.ndarray:
        """Returns the middle of the palm at rest, [3]: a little beyond the wrist."""
        s = "l" if side > 0 else "r"
        elbow, wrist = self.joint(f"lowerarm_{s}"), self.joint(f"hand_{s}")
        return wrist + 0.3 * (wrist - elbow)

    def floor(self) -> float:
        """Returns the height of the floor at rest."""
        return float(self._vertices[self._own, 1].min())


def _dome(f: Fitting, low: float, slack: float, flat: float) -> list:
    """Rings of a hat from its top to `low` below the brow, `slack` metres loose."""
    height = f.crown + slack - low
    rings = []
    for t in (0.02, 0.3, 0.55, 0.75, 0.9, 1.0):
        out = np.sin(t * np.pi / 2) ** flat
        y = low + height * np.cos(t * np.pi / 2) ** flat
        rings.append((y, (f.wide + slack) * out, (f.deep + slack) * out, 0.0))
    return rings


def _cap(f: Fitting, item: Accessory) -> Iterator[Part]:
    yield Part(lathe(f.head, _dome(f, -0.005, 0.012, 0.8)), f.head, "head")
    points, faces = lathe(
        f.head,
        [(0.012, f.wide + 0.014, f.deep + 0.014, 0), (-0.002, f.wide, f.deep, 0)],
    )
    points = points.reshape(2, 16, 3)
    ahead = np.clip(np.cos(np.linspace(0, 2 * np.pi, 16, endpoint=False)), 0, 1)
    points[1, :, 2] += 0.085 * item.size * ahead**0.6
    points[1, :, 1] -= 0.012 * ahead
    yield Part((points.reshape(-1, 3), faces), f.head + vector(0, 5, 0), "head")


def _beanie(f: Fitting, item: Accessory) -> Iterator[Part]:
    rings = _dome(f, -0.03, 0.018 * item.size + 0.004, 0.75)
    yield Part(lathe(f.head, rings), f.head, "head")
    if item.size > 1.08:
        top = f.head + vector(0, f.crown + 0.03, -0.01)
        yield Part(
            ellipsoid(top, np.full(3, 0.035), 1.0), top - vector(0, 5, 0), "head"
        )


def _brim(f: Fitting, item: Accessory) -> Iterator[Part]:
    rings = _dome(f, 0.0, 0.02, 0.55)
    wide = 0.06 * item.size
    for out, y in ((0.5 * wide, -0.004), (wide, -0.014)):
        rings.append((y, f.wide + 0.02 + out, f.deep + 0.02 + out, 0.0))
    yield Part(lathe(f.head, rings), f.head, "head")


def _wrap(f: Fitting, item: Accessory) -> Iterator[Part]:
    """A headscarf or a hood: a shell that leaves the face open."""
    loose = 0.008 if item.kind == "headscarf" else 0.028 * item.size
    chin = f.near(0, 0.8, 0.155)[1] - f.head[1]
    neck = f.near(0, 0.755, 0.07) - f.head
    shoulder = 0.06 if item.kind == "headscarf" else 0.025
    wide, deep = f.wide + loose, f.deep + loose
    rings = _dome(f, 0.03, loose, 0.85)
    rings[-1] = (0.025, wide, deep, 0)
    rings += [
        (0.5 * chin, wide + 0.008, deep, 0),
        (chin + 0.015, wide - 0.008, 0.9 * deep, 0),
        (neck[1] + 0.01, 0.07 + loose, 0.075 + loose, neck[2] * 0.6),
        (neck[1] - 0.035, 0.1 + shoulder + loose, 0.085 + loose, neck[2] * 0.6 - 0.01),
        (neck[1] - 0.06 - shoulder, 0.12 + 1.3 * shoulder, 0.11 + loose, -0.02),
    ]
    points, faces = lathe(f.head, rings)
    corner = (points - f.head)[faces].mean(1)
    turn = np.abs(np.arctan2(corner[:, 0], corner[:, 2]))
    face = (corner[:, 1] < 0.025) & (corner[:, 1] > chin) & (turn < 0.95)
    yield Part((points, faces[~face]), f.head, "head")


def _scarf(f: Fitting, item: Accessory) -> Iterator[Part]:
    base = f.joint("neck_01") + vector(0, -0.02, 0.005)
    profile = (
        (0.055, 0.066),
        (0.045, 0.09),
        (0.005, 0.108),
        (-0.035, 0.1),
        (-0.05, 0.07),
    )
    rings = [(y * item.size, r * 1.02, r, 0.0) for y, r in profile]
    yield Part(lathe(base, rings), base, "neck_01")
    end = f.near(0.05 * item.side, 0.56, 0.13) + vector(0, 0, 0.012)
    half = np.array([0.04, 0.13 * item.size, 0.014])
    yield Part(ellipsoid(end, half, 0.5), base, "spine_03")


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
    "cap": _cap,
    "beanie": _beanie,
    "brim": _brim,
    "headscarf": _wrap,
    "hood": _wrap,
    "scarf": _scarf,
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
