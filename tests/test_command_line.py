"""What the commands take from their arguments, and how they refuse the rest."""

import os

import jax
import pytest

from mbnet_jax.commands import cli, flags
from mbnet_jax.devices.mesh import make_mesh


@pytest.mark.parametrize(
    ("arguments", "name", "overrides", "rest"),
    [
        (["--config=a", "--config.seed=1"], "a", [("seed", "1")], []),
        (["-config", "a", "-config.seed", "-1"], "a", [("seed", "-1")], []),
        (["--config", "a", "--config.name=b=c"], "a", [("name", "b=c")], []),
        (["--config.name", ""], None, [], None),
        (["--config.eval.flip", "--workdir=x"], None, [("eval.flip", "True")], [-1]),
        (["--noconfig.eval.flip"], None, [("eval.flip", "False")], []),
        (["--no-config.eval.flip"], None, [("eval.flip", "False")], []),
        (
            ["--config.seed=1", "--config.seed=2"],
            None,
            [("seed", "1"), ("seed", "2")],
            [],
        ),
        (["--", "--config=a"], None, [], [0, 1]),
        (["config.seed=1", "--configs=a"], None, [], [0, 1]),
        (["--workdir", "--config=a"], "a", [], [0]),
    ],
)
def test_the_config_is_taken_out_of_the_arguments(arguments, name, overrides, rest):
    names, given = [], []
    argv = ["train.py", *arguments]
    if rest is None:
        with pytest.raises(ValueError, match=r"--config\.name needs a value"):
            cli.split(argv, names, given)
        return
    left = cli.split(argv, names, given)
    assert names == [name] * (name is not None) and given == overrides
    assert left == ["train.py", *(arguments[i] for i in rest)]


def config_parser() -> cli.ConfigParser:
    return cli.ConfigParser("train", "Trains.", "[--workdir DIR]", (), ("train",))


def refusal(monkeypatch, *arguments, main=pytest.fail) -> str:
    """The line that a command with these arguments ends with."""
    monkeypatch.setattr(flags, "prepare", lambda: None)
    with pytest.raises(SystemExit) as error:
        cli.run(config_parser(), main, arguments)
    text = error.value.code
    assert text.startswith("error: ") and len(text) < 1000
    text.encode("ascii", "backslashreplace")
    return text.removeprefix("error: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a config: mbnet-train --config=synthetic"),
        (["--config"], "--config needs a value: --config=VALUE"),
        (["--config="], "config file not found: ''; give a file, or one of ltcc,"),
        (["--config.seed"], "--config.seed needs a value"),
        (["--config=prc"], "config file not found: prc; give a file, or one of ltcc,"),
        (["--config=a", "--config", "b"], "--config is given twice, as 'a' and 'b'"),
        (["--config=prcc", "stray"], "unknown argument 'stray'; leave it out"),
        (
            ["train.epochs=2"],
            "unknown argument 'train.epochs=2'; write --config.train.e",
        ),
        (["--config=prcc", "--confg.seed=1"], "--confg.seed is no flag of mbnet-train"),
        (["--config=prcc", "--config.a.b=1"], "a.b is unknown; nearest known: "),
        (["--config=prcc", "--config.train=1"], "train='1' names a section; override"),
        (["--config=prcc", "--workdir="], "workdir='' must be a path"),
        (
            ["--config=prcc", "--config.name=.."],
            "name='..' must be the name of a folder",
        ),
        (["--config=prcc", "--config.name=\udcff"], r"name='\udcff' must be text of"),
        (["--config=\udcff"], r"config file not found: '\udcff'; give a file"),
        (
            ["--config=prcc", "--num_processes=x"],
            "--num-processes: 'x' must be a whole",
        ),
        (["--config=prcc", "--num_processes=" + "9" * 5000], "--num-processes: '999"),
        (["--config=prcc", "--num-processes=2"], "--coordinator, --process-id must be"),
        (["--config=prcc", "--process-id"], "--process-id: expected one argument; see"),
        (["--config=prcc", "--" + "x" * 6000], "'--xxx"),
        (["--config=prcc", "--flagfile=/dev/zero"], "--flagfile is no flag of mbnet-"),
        (["-z"], "-z is no flag of mbnet-train; leave it out, see --help"),
        (["--work_dr=x"], "--work_dr is no flag of mbnet-train; write --workdir, or"),
        (
            ["--epochs", "3"],
            "--epochs is no flag of mbnet-train; write --config.train.ep"
            "ochs=3, or see --help",
        ),
        (
            ["--lr=1e-3"],
            "--lr is no flag of mbnet-train; write --config.train.learning_r"
            "ate=1e-3, or see",
        ),
        (
            ["--gpus=2"],
            "--gpus is no flag of mbnet-train; all devices that jax sees are",
        ),
    ],
)
def test_wrong_arguments_end_in_one_line(monkeypatch, arguments, message):
    assert refusal(monkeypatch, *arguments).startswith(message)


def test_a_refused_argument_is_printable(monkeypatch):
    text = refusal(monkeypatch, "--config=prcc", "\x1b[2J" + "x" * 6000)
    assert text.isprintable() and text.endswith("leave it out")


def test_what_a_command_lacks_ends_in_one_line(monkeypatch):
    def fail(error):
        def main(config, arguments):
            raise error

        return refusal(monkeypatch, "--config=prcc", main=main)

    assert fail(PermissionError(13, "denied", "x")) == "[Errno 13] denied: 'x'"
    assert fail(MemoryError()).startswith("out of memory ()")
    full = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 9 bytes\nmore")
    assert fail(full).startswith("out of memory (RESOURCE_EXHAUSTED: 9 bytes); make")


def test_an_unknown_platform_ends_in_one_line(monkeypatch):
    def devices():
        raise RuntimeError("Unable to initialize backend 'gpx'")

    monkeypatch.setattr(jax, "devices", devices)
    monkeypatch.setitem(os.environ, "JAX_PLATFORMS", "gpx")
    message = r"jax can use no device \(Unable .*\); JAX_PLATFORMS is 'gpx': correct"
    with pytest.raises(ValueError, match=message):
        make_mesh()
