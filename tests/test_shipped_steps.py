"""How the network in the package was made: `python -m benchmarks.shipped`."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.shipped.__main__ import run_all, run_process
from benchmarks.shipped.steps import CONFIG, Step, commands, read_steps
from mbnet_jax import ExportedRun
from mbnet_jax.config import flat, load_config
from mbnet_jax.models.check import check_network
from mbnet_jax.runs.load import SHIPPED
from mbnet_jax.runs.network import INITIAL
from mbnet_jax.runs.run_folder import FREE

STEPS = {step.name: step for step in read_steps()}


def config_of(step):
    """The config of a step's network, but for the networks that it starts with."""
    if step.kind == "train":
        return load_config(CONFIG, step.overrides)
    first, *others = (config_of(STEPS[source]) for source in step.sources)
    if step.kind == "exchange":
        first.model.parser_size = others[0].model.parser_size
    return first


def test_each_step_needs_earlier_ones_and_is_needed_by_a_later_one():
    steps = read_steps()
    assert len(STEPS) == len(steps)
    numbers = {"combine": {1}, "mean": {2}, "exchange": {2}, "train": {0, 1, 2}}
    for number, step in enumerate(steps):
        assert len(step.sources) in numbers[step.kind], step
        assert {*step.sources} <= {earlier.name for earlier in steps[:number]}, step
    assert {*STEPS} - {name for s in steps for name in s.sources} == {steps[-1].name}


@pytest.mark.parametrize("name", [s.name for s in read_steps() if s.kind == "train"])
def test_trainings_are_valid_and_hold_the_same_people_out(name):
    config = config_of(STEPS[name])
    check_network(config, name)
    plain = load_config(CONFIG)
    assert config.seed == plain.seed
    assert config.data.validation_fraction == plain.data.validation_fraction


def test_the_last_step_has_the_config_of_the_network_in_the_package():
    made, shipped = flat(config_of(read_steps()[-1])), flat(ExportedRun(SHIPPED).config)
    free = {*FREE, *(f"model.{field}" for field in INITIAL)}
    assert {k: made[k] for k in made.keys() - free} == {
        k: shipped[k] for k in shipped.keys() - free
    }


def test_commands_of_the_steps():
    steps = [
        Step("train", "a", (), ("seed=1",)),
        Step("train", "b", ("a",), ("train.epochs=2",), ("model.parser_initial",)),
        Step("combine", "c", ("b",)),
        Step("mean", "d", ("c", "a")),
        Step("exchange", "e", ("d", "b")),
        Step("combine", "f", ("e",), ("eval.maps=predicted",), (), "mask"),
    ]
    given = ["data.root=/data", "train.epochs=1"]
    root = "--config.data.root=/data"
    weights = ["--half", "--license=apache-2.0"]
    alone = [*weights, "--no-stablehlo", "--no-onnx"]
    found = dict(commands(steps, Path("x"), given))
    train = ["mbnet-train", "--config=synthetic_many"]
    last = [root, "--config.train.epochs=1"]
    assert found.pop("a") == [*train, "--workdir=x/a", "--config.seed=1", *last]
    start = ["--config.model.parser_initial=x/a", "--config.train.epochs=2"]
    assert found.pop("b") == [*train, "--workdir=x/b", *start, *last]
    assert found.pop("c") == [
        *("mbnet-combine", "--config=synthetic_many", root),
        *("--model=x/b", "--out=x/c", *weights),
    ]
    export = ["mbnet-export", "--model=x/c", "--out=x/d", *alone, "--mean=x/a"]
    assert found.pop("d") == export
    export = ["mbnet-export", "--model=x/d", "--out=x/e", *alone]
    assert found.pop("e") == [*export, "--image-parser=x/b"]
    assert found.pop("f") == [
        *("mbnet-combine", "--config=synthetic_many", root),
        *("--model=x/e", "--out=x/f", "--config.eval.maps=predicted", "--add=mask"),
        *weights,
    ]
    export = ["mbnet-export", "--model=x/f", "--out=x/untested", *alone]
    assert found.pop("untested") == export
    export = ["mbnet-export", "--model=x/untested", "--out=x/network", *alone]
    assert found.pop("network") == [*export, "--results=x/tested"]
    test = ["mbnet-eval", root, "--model=x/untested", "--out=x/tested"]
    assert [sorted(command) for command in found.values()] == [
        sorted([*test, f"--config={world}", f"--config.eval.maps={maps}"])
        for world in ("synthetic_many", "synthetic_unseen", "synthetic")
        for maps in ("predicted", "given")
    ]


def test_what_ended_is_not_repeated_and_what_failed_is(tmp_path):
    todo = [(name, ["mbnet-train", f"--workdir={name}"]) for name in "abc"]
    ran, broken = [], {"b"}

    def run(command):
        name = command[-1].removeprefix("--workdir=")
        ran.append(name)
        if name in broken:
            raise subprocess.CalledProcessError(1, command)

    with pytest.raises(subprocess.CalledProcessError):
        run_all(todo, tmp_path, run)
    assert ran == ["a", "b"]
    broken.clear()
    run_all(todo, tmp_path, run)
    assert ran == ["a", "b", "b", "c"]
    run_all(todo, tmp_path, run)
    assert ran == ["a", "b", "b", "c"]

    todo[2][1].append("--config.train.epochs=3")
    with pytest.raises(
        ValueError, match=r"/c was made by another command.*another --out"
    ):
        run_all(todo, tmp_path, run)
    assert ran == ["a", "b", "b", "c"]


def test_a_command_that_fails_ends_the_steps(tmp_path, capfd):
    todo = [("a", ["mbnet-eval", "--config=absent", f"--workdir={tmp_path / 'a'}"])]
    with pytest.raises(subprocess.CalledProcessError):
        run_all(todo, tmp_path, run_process)
    assert "config file not found: absent" in capfd.readouterr().err
