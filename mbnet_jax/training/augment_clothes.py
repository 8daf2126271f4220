"""Random changes of the colours of clothes, found by the parsing map.

Ours, after semantic-guided pixel sampling (Shu et al., IEEE SPL 2021), which replaces
the pixels of clothes by those of other people's clothes. Here, clothes get random
colours and patterns, so no other image is needed. The network must then tell people
apart by what clothes do not change.
"""

import itertools

import jax
import jax.numpy as jnp
from jax import random

from mbnet_jax.parsing.labels import CLOTHING
from mbnet_jax.training.augment_colour import luma

_GREYISH = 0.4  # share of colours that are black, grey, white or nearly so
_VALUE = (0.06, 0.95)  # of a colour: its largest channel
_SATURATION = (0.15, 0.9)  # at most: of those, and of the others
_PATTERNED = 0.4  # share of garments with a pattern
_PERIOD = (0.02, 0.15)  # of a pattern's waves, as a share of the image's height
_TILT = 0.3  # of stripes, in radians to either side
_DETAIL = (0.5, 1.2)  # factor of the folds' contrast
_INVERTED = 0.15  # share of garments with inverted folds and prints
_KEPT = 0.3  # share of garments that keep variations in hue, as those of a print
_DARKEST = 0.15  # added to the luminance that folds are relative to


def recolour(
    rgb: jax.Array, parsing: jax.Array, key: jax.Array, probability: float
) -> jax.Array:
    """Gives each garment, upper and lower, other colours with a probability.

    Head, arms, legs, shoes and things carried stay; edges are soft, over one pixel on
    each side.

    Args:
      rgb: float32 [3, H, W] in 0 to 1.
      parsing: uint8 [H, W], canonical labels.
      key: the example's.
      probability: of each garment.
    """
    labels = jnp.array(CLOTHING, parsing.dtype)
    do_key, own_key = random.split(key)
    do = random.bernoulli(do_key, probability, labels.shape)
    inside = (parsing == labels[:, None, None]) & do[:, None, None]
    inside = inside.astype(jnp.float32)
    share = jax.vmap(soft)(inside)
    keys = random.split(own_key, len(labels))
    new = jax.vmap(_garment, (None, 0, 0, 0))(rgb, inside, share, keys)
    return rgb + (share[:, None] * (new - rgb)).sum(0)


def soft(inside: jax.Array) -> jax.Array:
    """The mean of an area [H, W] over 3x3 pixels, with 0 outside the image."""
    for axis in (0, 1):
        padding = [(1, 1) if axis == a else (0, 0) for a in (0, 1)]
        padded = jnp.pad(inside, padding)
        size = inside.shape[axis]
        shifted = (
            jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3)
        )
        inside = sum(shifted) / 3
    return inside


def _garment(
    rgb: jax.Array, inside: jax.Array, share: jax.Array, key: jax.Array
) -> jax.Array:
    """The image [3, H, W] as if the garment `inside` [H, W] were of other cloth.

    Folds are kept: the image's luminance relative to the garment's mean. At its edges,
    where pixels mix with the surroundings, they are weakened by `share`, the soft area
    [H, W].
    """
    # One draw for all, which compiles faster than many
    colours, of_pattern, (detail, inverted, kept, order) = jnp.split(
        random.uniform(key, (24,)), [8, 20]
    )
    first, second = (_colour(u)[:, None, None] for u in colours.reshape(2, 4))
    cloth = first + _pattern(inside.shape, of_pattern) * (second - first)

    count = jnp.maximum(inside.sum(), 1)
    light = luma(rgb)
    mean = (light * inside).sum() / count
    factor = between(_DETAIL, detail) * jnp.where(inverted < _INVERTED, -1, 1)
    folds = 1 + share * factor * (light - mean) / (mean + _DARKEST)

    hue = rgb - light
    hue -= (hue * inside).sum((1, 2), keepdims=True) / count
    orders = jnp.array([*itertools.permutations(range(3))])
    hue = hue[orders[(order * len(orders)).astype(int)]]
    hue *= share * (kept < _KEPT)
    return jnp.clip(cloth * folds + hue, 0, 1)


def between(limits: tuple[float, float], drawn: jax.Array) -> jax.Array:
    """What is drawn from 0 to 1, scaled to lie between the limits."""
    return limits[0] + (limits[1] - limits[0]) * drawn


def _colour(drawn: jax.Array) -> jax.Array:
    """A random colour, RGB [3] in 0 to 1, from [4] drawn from 0 to 1."""
    hue, value, saturation, grey = drawn
    saturation *= jnp.where(grey < _GREYISH, *_SATURATION)
    pure = jnp.clip(jnp.abs((hue + jnp.arange(3) / 3) % 1 * 6 - 3) - 1, 0, 1)
    return between(_VALUE, value) * (1 - saturation * (1 - pure))


def _pattern(shape: tuple[int, int], drawn: jax.Array) -> jax.Array:
    """How much of the second colour each pixel has, [H, W] in 0 to 1; often 0.

    Three kinds: stripes, checks, and blotches of three waves. [12] are drawn from 0
    to 1.
    """
    kind, size, way, tilt, threshold, patterned = drawn[:6]
    kind = (kind * 3).astype(int)
    period = jnp.exp(between(jnp.log(jnp.array(_PERIOD) * shape[0]), size))
    phases, apart = 2 * jnp.pi * drawn[6:9], drawn[9:12]
    # Stripes mostly lie along or across.
    along = jnp.pi / 2 * (way < 0.5) + between((-_TILT, _TILT), tilt)
    angles = along + jnp.array([0, jnp.pi / 2, 0])
    angles = jnp.where(kind == 2, jnp.pi / 3 * (apart + jnp.arange(3)), angles)
    strengths = jnp.array([[1.0, 0, 0], [0.7, 0.7, 0], [0.6, 0.6, 0.6]])[kind]

    frequency = 2 * jnp.pi / period
    rows = jnp.arange(shape[0])[:, None] * frequency * jnp.cos(angles) + phases
    columns = jnp.arange(shape[1])[:, None] * frequency * jnp.sin(angles)
    # sin(a + b), of sines along each side alone
    down = jnp.concatenate([jnp.sin(rows), jnp.cos(rows)], axis=1)
    right = jnp.concatenate([jnp.cos(columns), jnp.sin(columns)], axis=1)
    right *= jnp.tile(strengths, 2)
    waves = jnp.matmul(down, right.T, precision=jax.lax.Precision.HIGHEST)
    second = jax.nn.sigmoid(6 * (waves - between((-0.5, 0.5), threshold)))
    return (patterned < _PATTERNED) * second
