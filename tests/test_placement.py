"""`train.shard_parameters`: where arrays lie, and that training does not notice."""

import dataclasses
import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from hurry import in_a_hurry

from mbnet_jax.backbones import BACKBONES, eva02
from mbnet_jax.backbones.weights.timm_names import published
from mbnet_jax.data import load_dataset
from mbnet_jax.devices import placement
from mbnet_jax.devices.mesh import AXIS, batch_sharding, make_mesh, replicated
from mbnet_jax.devices.placement import place, shardings, split_axis
from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.training.loop import train
from mbnet_jax.training.state import TrainState

BLOCKS, WIDTH, HIDDEN = 3, 32, 48
KIND = dataclasses.replace(
    eva02.KINDS["eva02_tiny_patch14_224"],
    patch=16,
    grid=4,
    width=WIDTH,
    blocks=BLOCKS,
    heads=2,
    hidden=HIDDEN,
)
MINI = published("mini", KIND, eva02.CLIP_MEAN, eva02.CLIP_STD)


@pytest.mark.parametrize(
    ("shape", "devices", "axis"),
    [
        ((1024, 2730), 8, 0),  # 8 does not divide the largest
        ((1024, 2730), 2, 1),
        ((1024, 1024), 8, 0),  # the first of equal ones
        ((3, 3, 512, 2048), 8, 3),
        ((1001, 1001), 8, None),
        ((256, 255), 8, None),  # too small
        ((65536,), 8, 0),
        ((1024, 1024), 1, None),
        ((0, 1024), 8, None),
        ((), 8, None),
    ],
)
def test_an_array_is_split_along_its_largest_axis_that_fits(shape, devices, axis):
    assert split_axis(shape, devices) == axis


def test_what_is_stacked_over_blocks_is_never_split_along_them():
    def along(tree):
        found = shardings(tree, make_mesh(), split=True)
        return {k: list(s.spec) for k, s in found["blocks"].items()}

    tree = {
        "few": jax.ShapeDtypeStruct((24, 256, 256), jnp.float32),
        "more": jax.ShapeDtypeStruct((4096, 64, 1024), jnp.float32),
        "norm": jax.ShapeDtypeStruct((2048, 64), jnp.float32),  # a block's is small
    }
    expected = {"few": [None, AXIS], "more": [None, None, AXIS], "norm": []}
    assert along({"blocks": tree}) == expected
    # So are the moments of an optimizer.
    state = TrainState(None, None, None, {}, {}, ({"a": {"blocks": tree}},))
    found = shardings(state, make_mesh(), split=True).opt_state[0]["a"]["blocks"]
    assert {k: list(s.spec) for k, s in found.items()} == expected
    whole = shardings({"blocks": tree}, make_mesh(), split=False)
    assert all(s == replicated(make_mesh()) for s in jax.tree.leaves(whole))


def test_each_device_gets_its_share_alone():
    given = np.arange(2**20, dtype=np.float32).reshape(2**10, 2**10)
    placed = place({"a": given}, make_mesh(), split=True)["a"]
    assert {s.data.shape for s in placed.addressable_shards} == {(128, 1024)}
    np.testing.assert_array_equal(given, placed)


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    """A config with a small transformer, most of it split."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "SMALLEST", 256)
        patch.setitem(BACKBONES, "mini", MINI)
        config = tiny.global_branch_config(tmp_path_factory.mktemp("data"))
        tiny.set_backbones(config, name="mini")
        config.model.ktm = False
        config.eval.every_epochs = 1
        config.train.update(epochs=2, steps_per_epoch=4, checkpoint_every=2, keep=4)
        yield config, load_dataset(config)


def config_for(config, **fields):
    changed = config.copy_and_resolve_references()
    changed.train.update(fields)
    return changed


def mesh_of(devices):
    return make_mesh(jax.devices()[:devices])


def trained(setup, workdir, devices, **fields):
    with in_a_hurry():
        return train(
            config_for(setup[0], **fields), setup[1], workdir, mesh_of(devices)
        )


@pytest.fixture(scope="module")
def runs(setup, tmp_path_factory):
    """The same run, whole and split over 8 devices: split -> (folder, last state)."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        split: (
            folder / str(split),
            trained(setup, folder / str(split), 8, shard_parameters=split),
        )
        for split in (False, True)
    }


def logged(workdir, name="loss"):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return np.array([line[name] for line in lines if name in line])


def share(state):
    """Bytes of a state's floats on one device, and in all."""
    floats = [x for x in jax.tree.leaves(state) if x.dtype == jnp.float32]
    return (
        sum(x.addressable_shards[0].data.nbytes for x in floats),
        sum(x.nbytes for x in floats),
    )


def test_a_split_run_trains_like_a_whole_one(runs):
    (whole, state), (split, sharded) = runs[False], runs[True]
    assert len(logged(whole)) == 8
    np.testing.assert_allclose(logged(split), logged(whole), rtol=1e-4)
    assert len(logged(whole, "validation/mAP")) == 2
    for name in ("validation/mAP", "gradient_norm"):
        np.testing.assert_allclose(logged(split, name), logged(whole, name), rtol=0.01)
    mine, everything = share(sharded)
    assert share(state) == (everything, everything)
    assert mine < 0.25 * everything
    table = (split / "parameters.txt").read_text()
    assert "(None, 'data')" in table and table.count("\n") > 10


def up_to(step, workdir, copy):
    """Copies a run, as if killed with `step` as its newest checkpoint."""
    shutil.copytree(workdir, copy)
    for kind in ("checkpoints", "best"):
        for folder in (copy / kind).iterdir():
            if int(folder.name) > step:
                shutil.rmtree(folder)
    return copy


def test_a_split_run_resumes_bit_equal(setup, runs, tmp_path):
    workdir = up_to(4, runs[True][0], tmp_path / "run")
    state = trained(setup, workdir, 8, shard_parameters=True)
    jax.tree.map(np.testing.assert_array_equal, runs[True][1], state)
    for found, expected in zip(
        jax.tree.leaves(state), jax.tree.leaves(runs[True][1]), strict=True
    ):
        assert found.sharding == expected.sharding
    assert (logged(workdir) == logged(runs[True][0])).all()


@pytest.mark.parametrize("before", [True, False])
def test_a_run_changes_between_split_and_whole(setup, runs, tmp_path, capsys, before):
    workdir = up_to(4, runs[before][0], tmp_path / "run")
    trained(setup, workdir, 8, shard_parameters=not before)
    line = f"train.shard_parameters: {before} -> {not before}"
    assert line in capsys.readouterr().out
    np.testing.assert_allclose(logged(workdir), logged(runs[before][0]), rtol=1e-4)


@pytest.mark.parametrize("saved", [True, False])
def test_checkpoints_move_bit_equal(setup, runs, saved):
    workdir, expected = runs[saved]
    abstract = jax.eval_shape(lambda: expected).parts()
    for devices in (1, 2, 4, 8):
        for split in (True, False):
            with Checkpoints(workdir, create=False) as checkpoints:
                found = checkpoints.resume(abstract, mesh_of(devices), split=split)
            jax.tree.map(np.testing.assert_array_equal, expected.parts(), found.parts)
            mine, everything = share(found.parts)
            assert (mine == everything) == (not split or devices == 1)
    weights = RunFolder(workdir).load(mesh_of(2), which=8).variables
    jax.tree.map(np.testing.assert_array_equal, expected.variables, weights)
    assert share(weights)[0] == share(weights)[1]  # a network is loaded whole


@pytest.mark.parametrize("remat", [False, True])
def test_the_program_gathers_a_block_at_a_time(monkeypatch, remat):
    monkeypatch.setattr(placement, "SMALLEST", 256)
    mesh, x = make_mesh(), jnp.zeros((8, 32, 32, 3))
    network = MINI.make(dtype=jnp.bfloat16, remat=remat)
    params = jax.eval_shape(lambda: network.init(jax.random.key(0), x, train=False))
    kept = shardings(params, mesh, split=True)
    apply = placement.gathering(network.apply, mesh, split=True)
    gradient = jax.grad(lambda p, x: apply(p, x, train=True).map.sum())
    program = jax.jit(
        gradient, in_shardings=(kept, batch_sharding(mesh)), out_shardings=kept
    )
    with in_a_hurry():
        text = program.lower(params, x).compile().as_text()
    gathers = re.findall(r"= \w+\[(?:1,)?([\d,]*)\]\S* all-gather\(", text)
    # A block's gate and value, in the forward and the backward pass.
    one, all_of_them = f"{WIDTH},{HIDDEN}", f"{BLOCKS},{WIDTH},{HIDDEN}"
    assert gathers.count(one) == 4 and f"[{all_of_them}]" not in text
    assert f"[{BLOCKS},{WIDTH},{HIDDEN // 8}]" in text  # how they are kept
    # No activation is split by its channels, so none changes places.
    assert "all-to-all" not in text and "collective-permute" not in text
