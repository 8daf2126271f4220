"""Networks with random weights: nothing is compiled to make one."""

import jax
import numpy as np
import tiny
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.devices.mesh import replicated
from mbnet_jax.runs.load import Trained
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.step import init_state, make_model


def untrained(config: ConfigDict, mesh: Mesh, seed: int = 0) -> Trained:
    """A network of the config, whose backbones may be `tiny.ONE_BLOCK`."""
    model = make_model(config.model, 4)
    optimizer = make_optimizer(config.train, steps_per_epoch=1)
    state = jax.eval_shape(lambda: init_state(config, model, optimizer))
    rng = np.random.default_rng(seed)

    def random(leaf):  # positive ones, since some are variances
        return rng.uniform(0.1, 1, leaf.shape).astype(leaf.dtype)

    variables = jax.tree.map(random, state.variables)
    # Else every image would look alike to the network.
    variables["params"] = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), variables["params"]
    )
    return Trained(config, model, jax.device_put(variables, replicated(mesh)), 7)


def whole_network(root) -> ConfigDict:
    """The tiny config with all branches, soon compiled."""
    config = tiny.tiny_config(root)
    config.model.backbone = config.model.mask_backbone = tiny.ONE_BLOCK
    return config
