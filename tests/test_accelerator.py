"""The whole training step on an accelerator against the same on the CPU."""

import jax
import numpy as np
import optax
import pytest
import tiny

from benchmarks.train_step import CLASSES, random_batch
from mbnet_jax.devices.mesh import batch_sharding, make_mesh, replicated
from mbnet_jax.runs.network import make_model
from mbnet_jax.training.step import compiled, init_state, make_train_step


def stepped(config, device):
    """Losses of a step on one device, and the gradients: all parameters in a row."""
    mesh = make_mesh([device])
    model = make_model(config.model, CLASSES)
    optimizer = optax.sgd(1.0)  # a step is the gradient
    with jax.default_device(jax.devices("cpu")[0]):
        state = jax.device_get(jax.jit(lambda: init_state(config, model, optimizer))())
    batch = jax.device_get(random_batch(config))
    step = compiled(make_train_step(config, model, optimizer, mesh), mesh)
    after, scalars = step(
        jax.device_put(state, replicated(mesh)),
        jax.device_put(batch, batch_sharding(mesh)),
    )
    change = jax.tree.map(lambda b, a: b - np.asarray(a), state.params, after.params)
    losses = {name: float(x) for name, x in scalars.items() if "accuracy" not in name}
    return losses, np.concatenate([x.ravel() for x in jax.tree.leaves(change)])


@pytest.mark.gpu
def test_the_step_on_an_accelerator_is_that_of_the_cpu(tmp_path):
    if jax.default_backend() == "cpu":
        pytest.skip("needs an accelerator: --platform=cuda")
    config = tiny.tiny_config(tmp_path)
    expected, gradient = stepped(config, jax.devices("cpu")[0])
    losses, found = stepped(config, jax.devices()[0])
    assert losses == pytest.approx(expected, rel=1e-3, abs=1e-5)
    difference = np.linalg.norm(found - gradient) / np.linalg.norm(gradient)
    assert difference < 1e-2
