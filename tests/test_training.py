"""Training as a whole, on a tiny dataset: resumable, and the same on any devices."""

import json
import re
import shutil
import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from processes import run_two

from mbnet_jax.api import Run
from mbnet_jax.data import load_dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.devices.mesh import make_mesh, replicated
from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.runs.network import make_model
from mbnet_jax.runs.run_folder import num_classes
from mbnet_jax.training.loop import train
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.plan import make_plan
from mbnet_jax.training.step import compiled, init_state, make_train_step


@pytest.fixture(scope="module", autouse=True)
def known():
    """The backbone `tiny.ONE_BLOCK`, compiled as users compile theirs."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.know_one_block(patch)
        yield


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


def scores(workdir):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [line["validation/mAP"] for line in lines if "validation/mAP" in line]


@pytest.fixture(scope="module")
def on_one_device(setup, tmp_path_factory):
    """A run with all modules: config, dataset, folder, state."""
    config = config_for(
        setup[0], epochs=2, steps_per_epoch=6, checkpoint_every=3, keep=3
    )
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    workdir = tmp_path_factory.mktemp("one")
    state = train(config, setup[1], workdir, make_mesh(jax.devices()[:1]))
    return config, setup[1], workdir, state


@pytest.fixture(scope="module")
def on_eight_devices(setup, tmp_path_factory):
    """A run of the global branch: config, dataset, folder, state, results."""
    config = tiny.global_branch_config(setup[0].data.root)
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    dataset, workdir = load_dataset(config), tmp_path_factory.mktemp("eight")
    state = train(config, dataset, workdir, make_mesh())
    results = Run(workdir, make_mesh(), dataset=dataset).evaluate(config)
    assert int(state.step) == len(losses(workdir)) == 8 and len(scores(workdir)) == 1
    return config, dataset, workdir, state, results


# Of an mAP: images at almost equal distances may swap their ranks.
SWAPPED = 0.01


def assert_alike(workdir, other):
    """Compares losses and scores, up to the order of sums."""
    np.testing.assert_allclose(losses(workdir), losses(other), rtol=1e-4)
    assert losses(workdir) != losses(other)
    assert scores(workdir) == pytest.approx(scores(other), abs=SWAPPED)


def up_to(step, whole, workdir):
    """Copies a run, as if killed with `step` as its newest checkpoint."""
    shutil.copytree(whole, workdir)
    for kind in ("checkpoints", "best"):
        for folder in (workdir / kind).iterdir():
            if int(folder.name) > step:
                shutil.rmtree(folder)
    assert str(step) in {folder.name for folder in (workdir / "checkpoints").iterdir()}


def test_a_run_learns_and_logs_each_step(on_one_device):
    _, _, workdir, state = on_one_device
    assert int(state.step) == len(losses(workdir)) == 12 and len(scores(workdir)) == 2
    assert np.mean(losses(workdir)[6:]) < np.mean(losses(workdir)[:6])


def losses_of_starts(config, dataset, mesh, starts):
    """The losses [starts, steps] of the run's steps on other batches each time."""
    plan = make_plan(config, dataset, mesh)
    model = make_model(config.model, num_classes(dataset.train))
    optimizer = make_optimizer(config.train, plan.schedule)
    new = jax.jit(
        lambda: init_state(config, model, optimizer),
        out_shardings=replicated(mesh),
        compiler_options={"xla_backend_optimization_level": "0"},
    )
    step = compiled(make_train_step(config, model, optimizer, mesh), mesh)
    loader = Loader(config.data, mesh)
    found = []
    for start in range(starts):
        steps = range(start * plan.total, (start + 1) * plan.total)
        state = new()
        for batch in loader.train(dataset.train, plan.sampler, steps):
            state, scalars = step(state, batch)
            found.append(scalars["loss"])
    return np.array(jax.device_get(found)).reshape(starts, plan.total)


def test_eight_devices_train_like_one(on_one_device):
    """Rounding hardly grows in 12 steps of float32; the median of five starts.

    A start may differ by more, once rounding decides the sign of an input of a ReLU
    or which entry is the maximum: the gradient jumps there (docs/running.md).
    """
    config, dataset, _, _ = on_one_device
    one, eight = (
        losses_of_starts(config, dataset, make_mesh(devices), starts=5)
        for devices in (jax.devices()[:1], jax.devices())
    )
    apart = np.median(np.abs(one - eight), axis=0)
    assert len(apart) == 12 and 0 < apart.max() < 1e-4


@pytest.mark.parametrize(("step", "count"), [(2, 1), (4, 4), (6, 2)])
def test_a_run_resumes_on_another_number_of_devices(
    on_eight_devices, tmp_path, step, count
):
    config, dataset, whole, _, _ = on_eight_devices
    up_to(step, whole, tmp_path / "run")
    train(config, dataset, tmp_path / "run", make_mesh(jax.devices()[:count]))
    assert_alike(tmp_path / "run", whole)


def test_a_run_of_one_device_resumes_on_eight(on_one_device, tmp_path):
    config, dataset, whole, _ = on_one_device
    up_to(6, whole, tmp_path / "run")
    train(config, dataset, tmp_path / "run", make_mesh())
    assert_alike(tmp_path / "run", whole)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_devices_restores_the_same_bits(on_eight_devices, count):
    _, _, whole, final, _ = on_eight_devices
    mesh = make_mesh(jax.devices()[:count])
    with Checkpoints(whole, create=False) as checkpoints:
        restored = checkpoints.restore(8, final.parts(), mesh).parts
    for leaf in jax.tree.leaves(restored):
        assert leaf.sharding.device_set == set(mesh.devices.flat)
    jax.tree.map(np.testing.assert_array_equal, final.parts(), restored)


def test_two_processes_train_like_one_though_one_is_preempted(
    on_eight_devices, tmp_path
):
    """Two devices in each, on images that no process has prepared yet.

    The second start splits the parameters over them.
    """
    config, _, whole, _, expected = on_eight_devices
    config = config.copy_and_resolve_references()
    data, workdir = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    (data / "synthetic").symlink_to(Path(config.data.root).absolute() / "synthetic")
    config.data.root = str(data)
    config.eval.report = True  # one of them writes it, while the other ends
    file = tiny.write_one_block_config(tmp_path / "one_block.py")
    with file.open("a") as stream:  # small parameters are split too
        stream.write("from mbnet_jax.devices import placement\n")
        stream.write("placement.SMALLEST = 64\n")
    command = tiny.command("train.py", config, workdir, file=file)

    def preempt_the_second(processes):
        while not (workdir / "metrics.jsonl").is_file() or not losses(workdir):
            assert all(process.poll() is None for process in processes)
            time.sleep(0.01)
        processes[1].send_signal(signal.SIGTERM)

    found = run_two(command, slurm=True, devices=2, meanwhile=preempt_the_second)
    for process in found:  # both stop, and after the same step
        assert process.returncode == 128 + signal.SIGTERM, process.stderr
    stopped = [re.search(r"stopped at step (\d) of 8", p.stderr)[1] for p in found]
    assert stopped[0] == stopped[1]

    command.append("--config.train.shard_parameters=True")
    found = run_two(command, slurm=False, devices=2)  # by flags this time
    assert "train.shard_parameters: None -> True" in found[0].stdout
    assert f"resuming from step {stopped[0]} in" in found[0].stdout
    for process in found:
        assert process.returncode == 0, process.stderr
    assert "joining 2 processes" in found[1].stderr
    # Only process 0 prints.
    assert "clothes-changing" in found[0].stdout and "step 8/8: " in found[0].stderr
    assert "wrote" not in found[1].stdout and "images/s" not in found[1].stderr
    assert "compiling" not in found[1].stderr
    assert "</html>" in (workdir / "eval" / "report.html").read_text()

    assert_alike(workdir, whole)
    # One of each start, and one of the test.
    assert len(list((workdir / "events").iterdir())) == 3
    results = json.loads((workdir / "eval" / "metrics.json").read_text())["results"]
    for protocol, values in expected.items():
        for name, measures in values.items():
            found_map = results[protocol][name]["mAP"]
            assert found_map == pytest.approx(measures["mAP"], abs=SWAPPED)


def test_a_resumed_run_ends_bit_equal_to_one_never_stopped(on_one_device, tmp_path):
    config, dataset, whole, expected = on_one_device
    up_to(6, whole, tmp_path / "run")
    mesh = make_mesh(jax.devices()[:1])
    resumed = train(config, dataset, tmp_path / "run", mesh)
    jax.tree.map(np.testing.assert_array_equal, expected, resumed)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == (
        whole / "metrics.jsonl"
    ).read_text()


def test_another_architecture_is_refused_with_the_difference(on_one_device):
    config, dataset, workdir, _ = on_one_device
    other = config.copy_and_resolve_references()
    other.model.backbones["global"].width = 8
    with pytest.raises(ValueError, match=r"model\.backbones\.global\.width: 4 -> 8"):
        train(other, dataset, workdir, make_mesh(jax.devices()[:1]))
