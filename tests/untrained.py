"""Networks with random weights: nothing is compiled to make one."""

import jax
import numpy as np
import tiny
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.devices.mesh import replicated
from mbnet_jax.runs.network import Network, abstract_variables, make_model


def untrained(config: ConfigDict, mesh: Mesh, seed: int = 0) -> Network:
    """A network of the config, whose backbones may be `tiny.ONE_BLOCK`."""
    model = make_model(config.model, 4)
    rng = np.random.default_rng(seed)

    def random(leaf):  # positive ones, since some are variances
        return rng.uniform(0.1, 1, leaf.shape).astype(leaf.dtype)

    variables = jax.tree.map(random, abstract_variables(config, model))
    # Otherwise every image would look the same to the network.
    variables["params"] = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), variables["params"]
    )
    return Network(config, model, jax.device_put(variables, replicated(mesh)), 7)


def whole_network(root) -> ConfigDict:
    """The tiny config with all branches, soon compiled."""
    config = tiny.tiny_config(root)
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    return config
