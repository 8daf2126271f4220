"""Random changes of an image's colours and sharpness, as between cameras.

All functions take one image, float32 [3, H, W], RGB in 0 to 1: with the channels first
a CPU computes whole rows at once.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

LUMA = (0.299, 0.587, 0.114)  # of RGB: ITU-R BT.601

# Jitter is SimCLR's (Chen et al., ICML 2020) at less than half of its strength (0.8,
# 0.8, 0.8, 0.2), so that skin and hair still tell people apart. Factors lie in 1 - x to
# 1 + x.
BRIGHTNESS = 0.35
CONTRAST = 0.35
SATURATION = 0.35
HUE = 0.06  # of a turn, to either side

# Standard deviation of the blur, as a share of the image's height; at the upper end a
# person has about as much detail as one of a third of the height has.
BLUR = (0.004, 0.015)

# RGB to YIQ, whose last two axes turn with the hue
_YIQ = np.array([LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
# The same colour in grey, and its hue turned by a quarter
_GREY = np.array([LUMA] * 3)
_QUARTER = np.linalg.inv(_YIQ) @ [[0, 0, 0], [0, 0, -1], [0, 1, 0]] @ _YIQ


def luma(rgb: jax.Array) -> jax.Array:
    """The luminance [H, W] of RGB [3, H, W]."""
    return sum(weight * channel for weight, channel in zip(LUMA, rgb, strict=True))


def jitter(rgb: jax.Array, key: jax.Array) -> jax.Array:
    """Changes brightness, contrast, saturation and hue, clipped to 0 to 1.

    The order is fixed, unlike SimCLR's. All four are linear but for the image's mean
    luminance, which contrast keeps, so they are one matrix.
    """
    ranges = jnp.array([BRIGHTNESS, CONTRAST, SATURATION, HUE])
    drawn = ranges * random.uniform(key, (4,), minval=-1, maxval=1)
    brightness, contrast, saturation = 1 + drawn[:3]
    turn = drawn[3]
    gain = brightness * contrast
    offset = brightness * (1 - contrast) * luma(rgb).mean()
    # A sum of channels, as three are too few for a product of matrices
    matrix = gain * hue_matrix(turn, saturation)
    mixed = sum(matrix[:, i, None, None] * rgb[i] for i in range(3))
    return jnp.clip(mixed + offset, 0, 1)


def hue_matrix(turn: jax.Array, saturation: jax.Array) -> jax.Array:
    """The matrix [3, 3] that turns the hue of RGB and scales its saturation.

    It keeps the luminance. `turn` is in turns: 1 is the whole circle.
    """
    angle = 2 * jnp.pi * turn
    hue = jnp.cos(angle) * (np.eye(3) - _GREY) + jnp.sin(angle) * _QUARTER
    return _GREY + saturation * hue


def blur(rgb: jax.Array, key: jax.Array) -> jax.Array:
    """Blurs with a Gaussian, whose deviation is drawn from `BLUR`.

    Beyond its edges the image is reflected, so constants and the sum over all pixels
    are kept.
    """
    _, height, width = rgb.shape
    share = random.uniform(key, minval=BLUR[0], maxval=BLUR[1])
    rows, columns = (blur_matrix(n, share * height) for n in (height, width))
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("ij,cjk,lk->cil", rows, rgb, columns, precision=exact)


def blur_matrix(size: int, deviation: jax.Array) -> jax.Array:
    """The blur along one side, a symmetric matrix [size, size] whose rows sum to 1.

    `deviation` is in pixels, and small against the size.
    """
    at = jnp.arange(size, dtype=jnp.float32)
    there = jnp.stack([at, -1 - at, 2 * size - 1 - at])  # itself and both mirror images
    distance = (at[:, None, None] - there) / deviation
    weights = jnp.exp(-0.5 * distance**2).sum(1)
    return weights / weights.sum(1, keepdims=True)
