"""Training as a whole, on a tiny dataset: the same on any devices, resumable."""

import json
import shutil

import jax
import numpy as np
import pytest
import tiny

from mbnet_jax.data import load_dataset
from mbnet_jax.sharding import make_mesh
from mbnet_jax.training.loop import train


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    config = tiny.tiny_config(tmp_path_factory.mktemp("data"))
    return config, load_dataset(config)


def config_for(config, **fields):
    changed = config.copy_and_resolve_references()
    changed.train.update(fields)
    return changed


def losses(workdir):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


def test_one_and_eight_devices_give_the_same_loss_curve(setup, tmp_path):
    config, dataset = setup
    config = config_for(config, epochs=1, steps_per_epoch=20, checkpoint_every=100)
    curves = []
    for count in (1, 8):
        workdir = tmp_path / str(count)
        train(config, dataset, workdir, make_mesh(jax.devices()[:count]))
        curves.append(losses(workdir))
    assert len(curves[0]) == 20
    np.testing.assert_allclose(*curves, rtol=1e-4)
    assert curves[0][-1] != curves[0][0]


def test_a_resumed_run_ends_bit_equal_to_one_never_stopped(setup, tmp_path):
    config, dataset = setup
    mesh = make_mesh(jax.devices()[:1])
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    expected = train(config, dataset, whole, mesh)
    assert int(expected.step) == 4

    shutil.copytree(whole, stopped)
    for step in ("4",):  # as if killed after step 3: its newest checkpoint
        shutil.rmtree(stopped / "checkpoints" / step)
    assert [p.name for p in (stopped / "checkpoints").iterdir()] == ["3"]
    resumed = train(config, dataset, stopped, mesh)
    jax.tree.map(np.testing.assert_array_equal, expected, resumed)
    assert (stopped / "metrics.jsonl").read_text() == (
        whole / "metrics.jsonl"
    ).read_text()


def test_another_architecture_is_refused_with_the_difference(setup, tmp_path):
    config, dataset = setup
    mesh = make_mesh(jax.devices()[:1])
    config = config_for(config, epochs=1, steps_per_epoch=1)
    train(config, dataset, tmp_path, mesh)
    other = config.copy_and_resolve_references()
    other.model.width = 8
    with pytest.raises(ValueError, match=r"model\.width: 4 -> 8"):
        train(other, dataset, tmp_path, mesh)


def test_a_batch_that_does_not_divide_is_refused(setup, tmp_path):
    config, dataset = setup
    with pytest.raises(ValueError, match=r"train\.batch_size=12 .* 8 devices"):
        train(config_for(config, batch_size=12), dataset, tmp_path, make_mesh())
