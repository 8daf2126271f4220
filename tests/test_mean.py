"""The mean of two networks' weights, as an export."""

import json

import jax
import numpy as np
import pytest
from untrained import untrained, whole_network

from mbnet_jax.commands.export import main as export
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.export.mean import mean_of
from mbnet_jax.runs import exported
from mbnet_jax.runs.load import load
from mbnet_jax.runs.network import without_classifiers

pytestmark = pytest.mark.usefixtures("one_block")


@pytest.fixture(scope="module")
def mesh():
    return make_mesh(jax.devices()[:1])


def network(mesh, seed, **model):
    config = whole_network("data")
    with config.unlocked():
        config.model.update(model)
    return without_classifiers(untrained(config, mesh, seed))


IMAGE = {"parser": True, "parser_image": True}


@pytest.mark.parametrize(
    ("ours", "theirs", "own"),
    [
        ({"parser": True}, {}, "parsing_head"),
        (IMAGE | {"parser_size": "large"}, IMAGE, "image_parser"),
    ],
)
def test_shared_modules_are_averaged_and_others_kept(mesh, ours, theirs, own):
    ours, theirs = network(mesh, 0, **ours), network(mesh, 1, **theirs)
    mean = mean_of(ours, theirs, "theirs")
    assert mean.step == ours.step and mean.config is ours.config
    kept = 0
    for path, array in jax.tree_util.tree_leaves_with_path(mean.variables):
        a, b = ours.variables, theirs.variables
        for key in path:
            a, b = a[key.key], b.get(key.key, {})
        if path[1].key == own:
            kept += 1
            np.testing.assert_array_equal(array, a)
        else:
            np.testing.assert_allclose(array, (a + b) / 2, rtol=1e-6)
    assert kept


def test_the_mean_with_itself_is_the_network(mesh):
    ours = network(mesh, 0)
    mean = mean_of(ours, ours, "ours")
    jax.tree.map(np.testing.assert_array_equal, mean.variables, ours.variables)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"fusion_width": 16}, "has another shape"),
        ({"branches": ("mask",), "cfm": False}, "has none of its modules"),
    ],
)
def test_another_kind_of_network_is_refused(mesh, change, problem):
    other = network(mesh, 0, **change)
    part = network(mesh, 0, branches=("global",)) if "branches" in change else None
    with pytest.raises(ValueError, match=f"--mean=there is another kind.*{problem}"):
        mean_of(part or network(mesh, 1), other, "there")


def test_the_command_leaves_out_where_training_started(mesh, tmp_path):
    first, second = network(mesh, 0), network(mesh, 1)
    with second.config.unlocked():
        second.config.model.initial = str(tmp_path / "first")
        second.config.model.parser_initial = str(tmp_path / "parser")
    for name, each in (("first", first), ("second", second)):
        (tmp_path / name).mkdir()
        exported.write_weights(each.variables, tmp_path / name, False)
        exported.write_config(each, tmp_path / name, branches=())
    out = tmp_path / "mean"
    where = ["--model", str(tmp_path / "second"), "--mean", str(tmp_path / "first")]
    export([*where, "--out", str(out), "--no-stablehlo", "--no-onnx"])
    assert str(tmp_path) not in (out / "config.json").read_text()
    assert json.loads((out / "config.json").read_text())["step"] == second.step
    wanted = mean_of(second, first, "first").variables
    jax.tree.map(np.testing.assert_array_equal, load(str(out), mesh).variables, wanted)
