"""KTM's gate on an earlier map of the backbone; ours."""

import functools

import jax
import numpy as np
import pytest
import tiny
import untrained
from hurry import in_a_hurry

from mbnet_jax.backbones import BACKBONES, resnet
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.models import MBNet
from mbnet_jax.report.attention import attention_maps

NAME = "two stages"


@pytest.fixture(scope="module", autouse=True)
def known():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, NAME, resnet.backbone((1, 1, 0, 0), False))
        yield


def shapes_of(model):
    init = functools.partial(model.init, train=False)
    return jax.eval_shape(init, jax.random.key(0), views())


def model_of(**options):
    backbones = {"global": {"name": NAME, "width": 4, "stem": "patch"}}
    return MBNet(5, backbones, branches=("global",), **options)


def views():
    rng = np.random.default_rng(0)
    return {"image": rng.standard_normal((2, 32, 16, 3)).astype(np.float32)}


@functools.cache
def gated():
    """Random variables of a network whose gate is on the first stage."""
    rng = np.random.default_rng(1)

    def draw(path, leaf):  # variances are positive
        x = rng.standard_normal(leaf.shape).astype(np.float32)
        return np.abs(x) if path[0].key == "batch_stats" else x

    return jax.tree.map_with_path(draw, shapes_of(model_of(ktm_stage=1)))


@functools.cache
def run(ktm, bias=0.0):
    """Outputs, and the maps of the backbone's stages."""
    model, variables = model_of(ktm=ktm, ktm_stage=1), gated()
    params = {**variables["params"]}
    gate = params.pop("knowledge_transfer")
    if ktm:
        kernel = {"kernel": gate["gate"]["kernel"], "bias": np.array([bias])}
        params["knowledge_transfer"] = gate | {"gate": kernel}
    watched = functools.partial(
        model.apply,
        train=False,
        mutable=["intermediates"],
        capture_intermediates=lambda m, _: m.name == "global_backbone",
    )
    with in_a_hurry():
        out, state = jax.jit(watched)({**variables, "params": params}, views())
    return out, state["intermediates"]["global_backbone"]["__call__"][0].stages


def test_the_gate_scales_the_map_of_its_stage():
    (plain, before), (out, after) = run(False), run(True)
    assert plain.gate is None and out.gate.shape == (2, 8, 4, 1)
    gate = 1 / (1 + np.exp(-np.asarray(out.gate_logits)))
    np.testing.assert_allclose(out.gate, gate, rtol=1e-5)
    assert gate.std() > 1e-3
    np.testing.assert_allclose(after[0], before[0] * (1 + gate), rtol=1e-5)
    assert after[1].shape == (2, 4, 2, 8) and np.abs(after[1] - before[1]).max() > 0.1


def test_a_closed_gate_changes_nothing():
    (plain, _), (out, _) = run(False), run(True, bias=-1e4)
    assert not np.any(out.gate)
    for field in ("features", "embeddings", "logits"):
        np.testing.assert_array_equal(
            getattr(out, field)["global"], getattr(plain, field)["global"]
        )


def test_parameters_keep_their_names():
    final, first = (shapes_of(model_of(**x))["params"] for x in ({}, {"ktm_stage": 1}))
    shapes = [
        {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}
        for leaves in map(jax.tree.leaves_with_path, (final, first))
    ]
    differing = {name for name in shapes[0] if shapes[0][name] != shapes[1][name]}
    assert shapes[0].keys() == shapes[1].keys()
    # Of as many channels as the map of the stage.
    assert differing == {"['knowledge_transfer']['reduce']['kernel']"}


@pytest.mark.parametrize(("stage", "cells"), [(0, (8, 4)), (1, (16, 8))])
def test_pictures_take_the_gate_of_any_map(stage, cells):
    config = tiny.tiny_config("data")
    config.model.branches = ("global",)
    tiny.set_backbones(config, name=NAME)
    with config.unlocked():
        config.model.ktm_stage = stage
    network = untrained.untrained(config, make_mesh(jax.devices()[:1]))
    image = np.zeros((2, tiny.HEIGHT, tiny.WIDTH, 3), np.uint8)
    image[:, 10:40] = 200
    with in_a_hurry():
        maps = attention_maps(network, image, image[..., 0])
    assert maps.maps["global"].shape == (2, *cells)
