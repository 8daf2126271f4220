"""The yardstick of compiled steps: the same network, and a step that trains it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from modules import shapes

from benchmarks import lean_step
from mbnet_jax.backbones import resnet


def as_ours(params):
    """The yardstick's parameters of a network with the names of our ResNet's."""
    ours = {}
    for name, layer in params.items():
        if name == "classifier":
            continue
        norm = {"scale": layer["scale"], "bias": layer["bias"]}
        if name == "stem":
            ours |= {"conv1": {"kernel": layer["kernel"]}, "bn1": norm}
            continue
        stage, block, number = map(int, name.split("."))
        own = ours.setdefault(f"layer{stage + 1}_{block}", {})
        conv, bn = (f"conv{number}", f"bn{number}")
        if not number:
            conv, bn = "downsample_conv", "downsample_bn"
        own |= {conv: {"kernel": layer["kernel"]}, bn: norm}
    return ours


@pytest.mark.parametrize("name", lean_step.DEPTHS)
def test_the_yardstick_is_the_same_network(name):
    part = lean_step.Part(name, (64, 32, 3))
    rng = np.random.default_rng(0)
    (params,) = lean_step.init([part])["params"]
    params["classifier"] = rng.normal(size=params["classifier"].shape)
    x = rng.normal(size=(4, *part.view)).astype(np.float32)
    logits, _ = jax.jit(functools.partial(lean_step._network, part))(params, x)

    net = resnet.ResNet(*resnet.DEPTHS[name])
    ours = as_ours(params)
    _, shaped = shapes(net, x, train=False)
    stats = jax.tree.map(lambda a: jnp.zeros(a.shape), shaped["batch_stats"])
    run = jax.jit(functools.partial(net.apply, train=True, mutable=["batch_stats"]))
    out, _ = run({"params": ours, "batch_stats": stats}, x)
    want = out.map.mean((1, 2)) @ params["classifier"]
    assert jnp.abs(logits - want).max() < 1e-3 * jnp.abs(want).max()


def test_its_step_learns_a_batch():
    part = lean_step.Part("resnet18", (32, 16, 1))
    state = lean_step.init([part])
    rng = np.random.default_rng(0)
    view = jnp.asarray(rng.normal(size=(8, *part.view)), jnp.bfloat16)
    batch = {"views": [view], "pid": np.arange(8, dtype=np.int32)}
    step = jax.jit(functools.partial(lean_step.step, [part]))
    losses = []
    for _ in range(6):
        state, loss = step(state, batch)
        losses.append(float(loss))
    assert losses[0] == pytest.approx(np.log(100), rel=1e-3)
    assert losses[-1] < losses[0] - 1
    assert int(state["step"]) == 6
