"""Factors of the learning rate: smaller in lower layers, another for biases."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mbnet_jax.backbones.registry import layers_above
from mbnet_jax.models.branches import owned_backbones


def rate_factors(
    params: Mapping[str, Any],
    backbones: Mapping[str, Mapping[str, Any]],
    layer_decay: float = 1.0,
    bias_rate: float = 1.0,
) -> dict:
    """What each parameter's learning rate is multiplied by.

    Args:
      params: module -> its parameters, of which the shapes are used.
      backbones: `config.model.backbones`.
      layer_decay: for each layer above it in its backbone. Parameters outside of
        backbones have none above.
      bias_rate: for biases.

    Returns:
      The same structure: float32, numbers and arrays that broadcast against a stack of
      blocks.

    Raises:
      ValueError: if a backbone has no order of layers.
    """
    above = jax.tree.map(lambda _: 0, dict(params))
    if layer_decay != 1:
        for branch, module in owned_backbones(backbones, backbones).items():
            if module in above:
                above[module] = layers_above(backbones[branch], params[module])

    def factor(path, above) -> np.ndarray:
        rate = bias_rate if path[-1].key == "bias" else 1.0
        return np.float32(rate * layer_decay ** np.asarray(above, np.float64))

    return jax.tree_util.tree_map_with_path(factor, above)
