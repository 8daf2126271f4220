"""Kinds of cameras: where they hang, what lights their scene, how good they are.

A varied camera is one place, one light and one sensor of the tables below, with values
drawn once from their ranges. `camera` places it, `sensor` makes its images.
"""

import dataclasses

import numpy as np

from mbnet_jax.synthetic.options import KIND, SyntheticOptions

# name -> share, height and distance in metres, horizontal field of view in degrees.
PLACES = {
    "doorway": (0.10, (0.8, 1.9), (1.8, 5.0), (60, 95)),
    "ceiling": (0.20, (2.4, 3.4), (2.5, 7.0), (60, 95)),
    "corridor": (0.18, (2.1, 3.0), (4.0, 14.0), (40, 75)),
    "hall": (0.14, (3.5, 6.0), (7.0, 20.0), (35, 65)),
    "street": (0.22, (3.0, 6.0), (6.0, 25.0), (35, 80)),
    "hand": (0.08, (1.3, 1.8), (2.5, 10.0), (45, 70)),
    "far": (0.08, (2.5, 6.0), (20.0, 45.0), (10, 25)),
}
# name -> share, exposure (1 is right), ambient and key light on the scene, the share of
# it that falls on the person, white balance (log of red over blue), gain of the noise,
# saturation.
LIGHTS = {
    "sun": (0.20, (0.85, 1.25), (0.4, 0.7), (0.6, 0.95), (1, 1), (-0.1, 0.2), 1, 1.1),
    "overcast": (0.16, (0.75, 1.1), (0.95, 1.2), (0.1, 0.3), (1, 1), (-0.2, 0), 1, 0.9),
    "indoor": (0.24, (0.75, 1.1), (0.6, 0.9), (0.3, 0.6), (1, 1), (-0.2, 0.4), 1.3, 1),
    "shop": (0.06, (1.15, 1.6), (0.9, 1.1), (0.3, 0.5), (1, 1), (-0.1, 0.1), 1, 1),
    "behind": (
        0.09,
        (0.9, 1.4),
        (0.8, 1.1),
        (0.4, 0.7),
        (0.3, 0.55),
        (-0.2, 0.1),
        1,
        0.9,
    ),
    "dim": (0.08, (0.3, 0.55), (0.6, 0.9), (0.2, 0.6), (1, 1), (-0.1, 0.4), 2, 0.8),
    "lamp": (0.10, (0.35, 0.7), (0.3, 0.5), (0.8, 1.2), (1, 1), (0.35, 0.9), 2.2, 0.8),
    "infrared": (0.07, (0.6, 1.1), (0.2, 0.4), (0.7, 1.1), (1, 1.3), (0, 0), 1.8, 0.04),
}
# name -> share, rows of a person, lowest JPEG quality, noise for values in 0..1, blur
# in its pixels, sharpening, share of interlaced ones.
SENSORS = {
    "analogue": (0.18, (44, 110), (25, 60), (0.008, 0.018), (0.5, 0.9), (0, 1), 0.5),
    "web": (0.22, (50, 140), (30, 70), (0.006, 0.016), (0.3, 0.8), (0, 0.8), 0),
    "hd": (0.34, (90, 240), (50, 85), (0.004, 0.014), (0.3, 0.7), (0.1, 1.2), 0),
    "4k": (0.16, (160, 400), (65, 92), (0.004, 0.012), (0.4, 0.9), (0, 0.8), 0),
    "phone": (0.08, (220, 400), (75, 93), (0.004, 0.01), (0.3, 0.6), (0.6, 1.6), 0),
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
    place, (height, distance, view) = _draw(PLACES, rng)
    lighting, light = _draw(LIGHTS, rng)
    exposure, ambient, key, on_person, warm, grain, saturation = light
    sensor, (rows, jpeg, noise, blur, sharpening, interlaced) = _draw(SENSORS, rng)
    height = rng.uniform(*height)
    nearest = max(rng.uniform(distance[0], np.mean(distance)), 0.8 * height)
    distance = nearest, nearest * rng.uniform(1.2, 1.8)
    half = np.radians(rng.uniform(*view)) / 2
    down = np.arctan2(height - 0.9, np.mean(distance))
    warm = rng.uniform(*warm) / 2
    tint = rng.normal(0, 0.05) if saturation > 0.1 else 0
    noise = rng.uniform(*noise) * grain
    exposure = rng.uniform(*exposure)
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
        ambient=rng.uniform(*ambient),
        key=rng.uniform(*key),
        on_person=rng.uniform(*on_person),
        gain=exposure * np.exp([warm, tint, -warm]),
        saturation=saturation * rng.uniform(0.6, 1.15),
        # A camera brightens the shadows of what is dark.
        contrast=rng.uniform(0.75, 1.45 if exposure > 0.75 else 1.0),
        haze=max(rng.uniform(-0.12, 0.14), 0),
        uneven=rng.uniform(0, 0.3),
        rows=np.exp(rng.uniform(*np.log(rows))),
        blur=rng.uniform(*blur),
        noise=noise,
        chroma=noise * rng.uniform(0.2, 0.9) * (saturation > 0.1),
        sharpening=rng.uniform(*sharpening),
        interlaced=rng.random() < interlaced,
        motion=rng.uniform(0.05, 0.5 if grain > 1.5 or place == "hand" else 0.25),
        jpeg=int(rng.uniform(*jpeg)),
        smooth=rng.random() < 0.5,
    )


def _draw(table: dict[str, tuple], rng: np.random.Generator) -> tuple[str, tuple]:
    share = np.array([row[0] for row in table.values()])
    name = str(rng.choice([*table], p=share / share.sum()))
    return name, table[name][1:]


def _direction(lighting: str, rng: np.random.Generator) -> np.ndarray:
    """Draws the unit vector towards the key light; z is towards the camera."""
    low, high = {
        "behind": ((-0.6, 0.3, -1.2), (0.6, 1.0, -0.6)),
        "lamp": ((-0.8, 1.2, -0.6), (0.8, 2.0, 0.6)),
        "infrared": ((-0.2, 0.1, 1.0), (0.2, 0.4, 1.2)),
    }.get(lighting, ((-1.0, 0.5, -0.5), (1.0, 1.6, 1.0)))
    light = rng.uniform(low, high)
    return light / np.linalg.norm(light)
