"""Backgrounds that fade into one colour, found by the parsing map; ours.

A network meets few backgrounds beside those of all cameras there are. One that has
seen a person before many shades of nothing looks at the person.
"""

import jax
import jax.numpy as jnp
from jax import random

from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.training.augment_clothes import soft
from mbnet_jax.views import exists


def fade(rgb: jax.Array, parsing: jax.Array, key: jax.Array) -> jax.Array:
    """Mixes the background with one random colour, in a random share.

    Without a person in the parsing map, nothing changes. Edges are soft, over one pixel
    on each side.

    Args:
      rgb: float32 [3, H, W] in 0 to 1.
      parsing: uint8 [H, W], canonical labels.
      key: the example's.
    """
    share_key, colour_key = random.split(key)
    person = parsing != BACKGROUND
    share = random.uniform(share_key) * exists(person)
    colour = random.uniform(colour_key, (3, 1, 1))
    return rgb + share * (1 - soft(person.astype(jnp.float32))) * (colour - rgb)
