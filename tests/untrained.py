"""Networks with random weights: nothing is compiled to make one."""

import functools

import jax
import numpy as np
import tiny
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.devices.mesh import replicated
from mbnet_jax.models.modules import Locator
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


def with_gate(network: Network, view: np.ndarray, std: float) -> Network:
    """The network, with logits of KTM's zoom of mean 0 and `std` in these images.

    Those of random weights are large: the gate would be closed or open everywhere.
    """
    variables = jax.device_get(network.variables)
    locator = {kind: of["knowledge_zoom"] for kind, of in variables.items()}
    locate = jax.jit(functools.partial(Locator().apply, train=False))
    logits = np.asarray(locate(locator, view))
    gate = variables["params"]["knowledge_zoom"]["gate"]
    gate["bias"] = (gate["bias"] - logits.mean()) * std / logits.std()
    gate["kernel"] = gate["kernel"] * std / logits.std()
    return network._replace(variables=variables)


def whole_network(root) -> ConfigDict:
    """The tiny config with all branches, soon compiled."""
    config = tiny.tiny_config(root)
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    return config
