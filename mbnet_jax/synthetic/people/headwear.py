"""Meshes of what is worn on the head and around the neck."""

from collections.abc import Iterator

import numpy as np

from mbnet_jax.synthetic.clothes.garments import Accessory
from mbnet_jax.synthetic.people.fitting import Fitting, Part
from mbnet_jax.synthetic.people.shapes import ellipsoid, lathe, vector


def _dome(f: Fitting, low: float, slack: float, flat: float) -> list:
    """Rings of a hat from its top to `low` below the brow, `slack` metres loose."""
    height = f.crown + slack - low
    rings = []
    for t in (0.02, 0.3, 0.55, 0.75, 0.9, 1.0):
        out = np.sin(t * np.pi / 2) ** flat
        y = low + height * np.cos(t * np.pi / 2) ** flat
        rings.append((y, (f.wide + slack) * out, (f.deep + slack) * out, 0.0))
    return rings


def cap(f: Fitting, item: Accessory) -> Iterator[Part]:
    """A cap with a visor."""
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


def beanie(f: Fitting, item: Accessory) -> Iterator[Part]:
    """A knitted hat, some with a bobble."""
    rings = _dome(f, -0.03, 0.018 * item.size + 0.004, 0.75)
    yield Part(lathe(f.head, rings), f.head, "head")
    if item.size > 1.08:
        top = f.head + vector(0, f.crown + 0.03, -0.01)
        yield Part(
            ellipsoid(top, np.full(3, 0.035), 1.0), top - vector(0, 5, 0), "head"
        )


def brim(f: Fitting, item: Accessory) -> Iterator[Part]:
    """A hat with a brim."""
    rings = _dome(f, 0.0, 0.02, 0.55)
    wide = 0.06 * item.size
    for out, y in ((0.5 * wide, -0.004), (wide, -0.014)):
        rings.append((y, f.wide + 0.02 + out, f.deep + 0.02 + out, 0.0))
    yield Part(lathe(f.head, rings), f.head, "head")


def wrap(f: Fitting, item: Accessory) -> Iterator[Part]:
    """A headscarf or a hood: a shell that leaves the face open."""
    loose = 0.008 if item.kind == "headscarf" else 0.028 * item.size
    chin = f.near(0, 0.8, 0.155)[1] - f.head[1]
    neck, behind = f.joint("neck_01")[1:] - f.head[1:]
    wide, deep = f.wide + loose, f.deep + loose
    rings = _dome(f, 0.03, loose, 0.85)
    rings[-1] = (0.025, wide, deep, 0)
    rings += [
        (0.5 * chin, wide + 0.008, deep, 0),
        (chin + 0.015, wide - 0.008, 0.9 * deep, 0.2 * behind),
        (neck + 0.01, 0.085 + loose, 0.08 + loose, 0.6 * behind),
    ]
    if item.kind == "hood":  # It continues into the collar.
        rings += [(neck - 0.035, 0.11, 0.1, behind), (neck - 0.08, 0.09, 0.07, behind)]
    else:
        rings += [
            (neck - 0.045, 0.15, 0.115, 0.9 * behind),
            (neck - 0.12, 0.19, 0.14, 0.8 * behind),
            (neck - 0.13, 0.15, 0.08, 0.8 * behind),
        ]
    points, faces = lathe(f.head, rings)
    corner = (points - f.head)[faces].mean(1)
    turn = np.abs(np.arctan2(corner[:, 0], corner[:, 2]))
    face = (corner[:, 1] < 0.025) & (corner[:, 1] > chin) & (turn < 0.95)
    yield Part((points, faces[~face]), f.head, "head")


def scarf(f: Fitting, item: Accessory) -> Iterator[Part]:
    """A scarf around the neck, with one end on the chest."""
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
