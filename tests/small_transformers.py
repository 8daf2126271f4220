"""Small transformers' variables from weights files."""

import numpy as np
import timm_weights as reference
from modules import shapes

from mbnet_jax.backbones import timm_names
from mbnet_jax.backbones.transformer import Transformer


def variables_of(name, size, channels=3):
    """Shapes of the variables of a small network."""
    x = np.zeros((1, *size, channels), np.float32)
    return shapes(Transformer(reference.small_kind(name)), x, train=False)[1]


def converted(name, weights=None, size=None, channels=3):
    """The variables of a small network, by default from generated weights."""
    weights = reference.generate(name) if weights is None else weights
    variables = variables_of(name, size or reference.sizes(name)[0], channels)
    kind = reference.small_kind(name)
    return timm_names.convert(weights, variables, kind=kind, name=name)
