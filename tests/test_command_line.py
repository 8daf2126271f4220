"""What the commands take from their arguments, and how they refuse the rest."""

import os
import shlex
import subprocess
import sys

import jax
import pytest

from mbnet_jax.commands import cli, flags
from mbnet_jax.config import flat, read_config
from mbnet_jax.configs import base
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
        (
            ["--config="],
            "config file not found: ''; give a file, or one of celeb_reid,",
        ),
        (["--config.seed"], "--config.seed needs a value"),
        (
            ["--config=prc"],
            "config file not found: prc; give a file, or one of celeb_reid,",
        ),
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


def lists(*arguments):
    parser = flags.Parser("x", "Does it.", "", ())
    parser.add_list("--branch-names")
    parser.add_list("--size", kind=flags.whole, default=(8, 8))
    parser.add_list("--mean", kind=flags.number)
    parser.add_switch("--half", False, "halves")
    parser.add("--k", type=flags.whole)
    found = vars(parser.arguments(arguments))
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (["--branch-names", "a,b"], {"branch_names": ("a", "b")}),
        (["--branch_names=a, b,"], {"branch_names": ("a", "b")}),
        (["--branch-names", "a", "b,c"], {"branch_names": ("a", "b", "c")}),
        (["--branch-names="], {"branch_names": ()}),
        (["--size", "64,32", "--half"], {"size": (64, 32), "half": True}),
        (["--mean=-1,.5,1e3", "--no-half"], {"mean": (-1.0, 0.5, 1e3), "half": False}),
        (["-k", "3", "--no_half"], {"k": 3}),
        (["--k", "-3"], {"k": -3}),
    ],
)
def test_lists_are_separated_by_commas_and_switches_negated(arguments, values):
    assert lists(*arguments) == {"size": (8, 8), "half": False} | values


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size=1,x"], "--size: 'x' must be a whole number, as in 8; see --help"),
        (["--size=1.5,2"], "--size: '1.5' must be a whole number"),
        (["--size=" + "9" * 5000], "--size: '999"),
        (["--mean", "a,b"], "--mean: 'a' must be a number, as in 0.5; see --help"),
        (["--mean"], "--mean: expected at least one argument; see --help"),
        (["--branches", "a"], "--branches is no flag of mbnet-x; write --branch-names"),
        (["--half=yes"], "--half/--no-half: ignored explicit argument 'yes'"),
        (["--branch-names", "a", "--"], None),
    ],
)
def test_what_a_list_cannot_be_is_refused(arguments, message):
    if message is None:
        assert lists(*arguments)["branch_names"] == ("a",)
        return
    with pytest.raises(ValueError) as error:
        lists(*arguments)
    assert str(error.value).startswith(message) and len(str(error.value)) < 600


COMMANDS = (
    *("train", "eval", "across", "compare", "preview", "parse"),
    *("search", "export", "init"),
)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_short_quick_and_has_examples_that_are_read(name):
    """Without jax, whose import takes seconds; each example passes the flags."""
    code = (
        f"import sys\nfrom mbnet_jax.commands import {name} as command\n"
        "try:\n    command.main(['--help'])\nfinally:\n"
        "    assert 'jax' not in sys.modules, 'jax is imported'"
    )
    environment = os.environ | {"COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) < 90 and max(map(len, lines)) <= 100
    assert f"mbnet-{name}" in lines[0] and "absl" not in done.stdout
    examples = done.stdout.partition("examples:\n")[2].replace("\\\n", " ")
    calls = [shlex.split(line, posix=True)[1:] for line in examples.splitlines()]
    assert len(calls) >= 2
    for call in calls:
        names, given = [], []
        rest = cli.split(call, names, given)
        flags_used = {word.partition("=")[0] for word in rest if word[:2] == "--"}
        assert all(
            f"{flag} " in done.stdout or f"{flag}," in done.stdout
            for flag in flags_used
        )
        if names:
            read_config(names[0], given)


def test_the_common_fields_in_the_help_are_fields():
    assert {*cli._COMMON} <= {*flat(base.FIELDS)}


def test_versions_are_printed(capsys):
    with pytest.raises(SystemExit) as end:
        config_parser().arguments(["--version"])
    assert not end.value.code and "jax " in capsys.readouterr().out


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
