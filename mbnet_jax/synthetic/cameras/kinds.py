"""Kinds of cameras: where they hang, what lights their scene, how good they are.

A varied camera is one place, one light and one sensor of the tables below, with values
drawn once from their ranges: places, lights and sensors combine freely. `camera`
places it, `sensor` makes its images.
"""

import dataclasses
from typing import NamedTuple, TypeVar

import numpy as np

from mbnet_jax.synthetic.options import KIND, SyntheticOptions

_Range = tuple[float, float]
_Row = TypeVar("_Row", "Place", "Light", "Sensor")


class Place(NamedTuple):
    """Where a camera hangs: its share of the cameras, and ranges of its values."""

    share: float
    height: _Range  # metres
    distance: _Range  # metres
    view: _Range  # horizontal field of view, degrees


class Light(NamedTuple):
    """What lights a scene: its share of the cameras, and ranges of its values."""

    share: float
    exposure: _Range  # 1 is right
    ambient: _Range
    key: _Range
    on_person: _Range  # share of both that falls on the person
    warmth: _Range  # logarithm of the gain of red over that of blue
    grain: float  # gain of the noise
    saturation: float


class Sensor(NamedTuple):
    """What makes the image: its share of the cameras, and ranges of its values."""

    share: float
    rows: _Range  # that a person has
    jpeg: _Range  # lowest quality
    noise: _Range  # standard deviation, for values in 0..1
    blur: _Range  # standard deviation in pixels of the sensor
    sharpening: _Range
    interlaced: float  # share


PLACES = {
    "doorway": Place(0.10, (0.8, 1.9), (1.8, 5), (60, 95)),
    "ceiling": Place(0.20, (2.4, 3.4), (2.5, 7), (60, 95)),
    "corridor": Place(0.18, (2.1, 3.0), (4, 14), (40, 75)),
    "hall": Place(0.14, (3.5, 6.0), (7, 20), (35, 65)),
    "street": Place(0.22, (3.0, 6.0), (6, 25), (35, 80)),
    "hand": Place(0.08, (1.3, 1.8), (2.5, 10), (45, 70)),
    "far": Place(0.08, (2.5, 6.0), (20, 45), (10, 25)),
}
LIGHTS = {
    "sun": Light(0.26, (0.9, 1.3), (0.4, 0.7), (0.6, 1), (1, 1), (-0.1, 0.2), 1, 1.1),
    "overcast": Light(0.19, (0.75, 1.1), (1, 1.2), (0.1, 0.3), (1, 1), (-0.2, 0), 1, 1),
    "indoor": Light(
        0.28, (0.75, 1.1), (0.6, 0.9), (0.3, 0.6), (1, 1), (-0.2, 0.4), 1.3, 1
    ),
    "shop": Light(0.07, (1.15, 1.6), (0.9, 1.1), (0.3, 0.5), (1, 1), (-0.1, 0.1), 1, 1),
    "behind": Light(
        0.07, (0.9, 1.4), (0.8, 1.1), (0.4, 0.7), (0.3, 0.6), (-0.2, 0.1), 1, 0.9
    ),
    "dim": Light(
        0.05, (0.3, 0.55), (0.6, 0.9), (0.2, 0.6), (1, 1), (-0.1, 0.4), 2, 0.8
    ),
    "lamp": Light(
        0.05, (0.35, 0.7), (0.3, 0.5), (0.8, 1.2), (1, 1), (0.35, 0.9), 2.2, 0.8
    ),
    "infrared": Light(
        0.03, (0.6, 1.1), (0.2, 0.4), (0.7, 1.1), (1, 1.3), (0, 0), 1.8, 0.04
    ),
}
SENSORS = {
    "analogue": Sensor(
        0.06, (44, 110), (25, 60), (0.008, 0.018), (0.5, 0.9), (0, 1), 0.5
    ),
    "web": Sensor(0.14, (50, 140), (30, 70), (0.006, 0.016), (0.3, 0.8), (0, 0.8), 0),
    "hd": Sensor(0.42, (90, 240), (50, 85), (0.004, 0.014), (0.3, 0.7), (0.1, 1.2), 0),
    "4k": Sensor(0.26, (160, 400), (65, 92), (0.004, 0.012), (0.4, 0.9), (0, 0.8), 0),
    "phone": Sensor(
        0.12, (220, 400), (75, 93), (0.004, 0.01), (0.3, 0.6), (0.6, 1.6), 0
    ),
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What distinguishes one varied camera from another.

    Attributes:
      place, lighting, sensor: keys of the tables.
      height: metres above the floor.
      distance: metres from the person (lowest, highest).
      pitch, roll: radians; positive pitch looks down.
      pan: largest angle of the person left or right of the optical axis, radians.
      bend: radial distortion k of r (1 + k r^2); negative is a barrel.
      light: float64 [3], unit vector towards the key light.
      ambient, key: strengths of the two lights.
      on_person: share of them that the person gets; low if the light is behind.
      gain: float64 [3] of red, green and blue.
      saturation: of colours; 0 is grey.
      contrast: exponent of the tone curve.
      haze: level of black, in 0..1.
      uneven: how much brightness changes across an image.
      rows: that the sensor has for a person, on average.
      blur: standard deviation in pixels of the sensor.
      noise, chroma: standard deviations, for values in 0..1; chroma is of the colour.
      sharpening: gain of the details.
      interlaced: whether odd rows are of another moment.
      motion: share of the images with motion blur.
      jpeg: lowest JPEG quality.
      smooth: whether images are enlarged bicubically.
    """

    place: str
    lighting: str
    sensor: str
    height: float
    distance: tuple[float, float]
    pitch: float
    roll: float
    pan: float
    bend: float
    light: np.ndarray
    ambient: float
    key: float
    on_person: float
    gain: np.ndarray
    saturation: float
    contrast: float
    haze: float
    uneven: float
    rows: float
    blur: float
    noise: float
    chroma: float
    sharpening: float
    interlaced: bool
    motion: float
    jpeg: int
    smooth: bool


def make_kind(options: SyntheticOptions, number: int) -> Kind:
    """Returns the kind of camera `number` (from 1) of a dataset of varied cameras."""
    rng = options.rng(KIND, number)
    place, where = _draw(PLACES, rng)
    lighting, light = _draw(LIGHTS, rng)
    sensor, made = _draw(SENSORS, rng)
    height = rng.uniform(*where.height)
    low, high = where.distance
    nearest = max(rng.uniform(low, (low + high) / 2), 0.8 * height)
    distance = nearest, nearest * rng.uniform(1.2, 1.8)
    half = np.radians(rng.uniform(*where.view)) / 2
    down = np.arctan2(height - 0.9, np.mean(distance))
    exposure, warmth = rng.uniform(*light.exposure), rng.uniform(*light.warmth) / 2
    coloured = light.saturation > 0.1
    tint = rng.normal(0, 0.05) if coloured else 0
    rows = np.exp(rng.uniform(*np.log(made.rows)))
    # Encoders remove noise from pictures of few pixels.
    noise = rng.uniform(*made.noise) * light.grain * min(rows / 90, 1.0)
    shaken = 0.5 if light.grain > 1.5 or place == "hand" else 0.25
    return Kind(
        place=place,
        lighting=lighting,
        sensor=sensor,
        height=height,
        distance=distance,
        pitch=down + half * rng.uniform(-0.4, 0.4),
        roll=rng.normal(0, 0.08 if place == "hand" else 0.03),
        pan=0.7 * half,
        bend=rng.uniform(-0.08, 0.02) if half > np.radians(30) else 0.0,
        light=_direction(lighting, rng),
        ambient=rng.uniform(*light.ambient),
        key=rng.uniform(*light.key),
        on_person=rng.uniform(*light.on_person),
        gain=exposure * np.exp([warmth, tint, -warmth]),
        saturation=light.saturation * rng.uniform(0.6, 1.15),
        # A camera brightens the shadows of what is dark.
        contrast=rng.uniform(0.75, 1.45 if exposure > 0.75 else 1.0),
        haze=max(rng.uniform(-0.12, 0.14), 0),
        uneven=rng.uniform(0, 0.3),
        rows=rows,
        blur=rng.uniform(*made.blur),
        noise=noise,
        chroma=noise * rng.uniform(0.2, 0.9) * coloured,
        sharpening=rng.uniform(*made.sharpening),
        interlaced=rng.random() < made.interlaced and rows > 60,
        motion=rng.uniform(0.05, shaken),
        jpeg=int(rng.uniform(*made.jpeg)),
        smooth=rng.random() < 0.5,
    )


def _draw(table: dict[str, _Row], rng: np.random.Generator) -> tuple[str, _Row]:
    share = np.array([row.share for row in table.values()])
    name = str(rng.choice([*table], p=share / share.sum()))
    return name, table[name]


def _direction(lighting: str, rng: np.random.Generator) -> np.ndarray:
    """Draws the unit vector towards the key light; z is towards the camera."""
    low, high = {
        "behind": ((-0.6, 0.3, -1.2), (0.6, 1.0, -0.6)),
        "lamp": ((-0.8, 1.2, -0.6), (0.8, 2.0, 0.6)),
        "infrared": ((-0.2, 0.1, 1.0), (0.2, 0.4, 1.2)),
    }.get(lighting, ((-1.0, 0.5, -0.5), (1.0, 1.6, 1.0)))
    light = rng.uniform(low, high)
    return light / np.linalg.norm(light)
