"""The steps that made the network in the package, as commands of this project."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

STEPS = Path(__file__).with_name("steps.toml")
CONFIG = "synthetic_many"
NETWORK = "network"  # the folder of what the steps make
_UNTESTED = "untested"  # of the same, without results

# How two networks are exported as one -> the flag of the second
_JOINS = {"mean": "--mean", "exchange": "--image-parser"}
_KINDS = ("train", "combine", *_JOINS)
# Key of a training's entry that names a network to start with -> its field
_STARTS = {"initial": "model.initial", "parser": "model.parser_initial"}
_WEIGHTS = ("--half", "--license=apache-2.0")
_NO_PROGRAMS = ("--no-stablehlo", "--no-onnx")
# Config, and the maps it is tested with
_TESTS = tuple(
    (config, maps)
    for config in (CONFIG, "synthetic_unseen", "synthetic")
    for maps in ("predicted", "given")
)


class Step(NamedTuple):
    """One step.

    kind: of `_KINDS`.
    name: of the step, and of its folder.
    sources: names of the steps that it needs.
    overrides: FIELD=VALUE of a training, but for those of `starts`; or of a fit.
    starts: of a training, the field of each source.
    add: of a fit, the branch that is added.
    """

    kind: str
    name: str
    sources: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    add: str = ""


def read_steps() -> list[Step]:
    """Reads `steps.toml`, whose first lines say what it holds."""
    content = tomllib.loads(STEPS.read_text())
    return [
        step for entry in content["step"] for step in _steps_of(entry, content["sets"])
    ]


def _steps_of(
    entry: Mapping[str, Any], sets: Mapping[str, Sequence[str]]
) -> Iterator[Step]:
    """The step of an entry; or its two trainings and their mean."""
    [kind] = entry.keys() & {*_KINDS}
    name = entry[kind]
    starts = {field: entry[key] for key, field in _STARTS.items() if key in entry}
    sources = (*starts.values(), *entry.get("of", ()))

    def step(name: str, own: Sequence[str] = ()) -> Step:
        overrides = tuple(
            line
            for field in (*entry.get("fields", ()), *own)
            for line in ([field] if "=" in field else sets[field])
        )
        return Step(kind, name, sources, overrides, (*starts,), entry.get("add", ""))

    if "each" not in entry:
        yield step(name)
        return
    both = (f"{name}_a", f"{name}_b")
    for one, own in zip(both, entry["each"], strict=True):
        yield step(one, own)
    yield Step("mean", name, both)


def commands(
    steps: Sequence[Step], out: Path, given: Sequence[str] = ()
) -> Iterator[tuple[str, list[str]]]:
    """Yields the name of each command, and the command: `["mbnet-train", ...]`.

    The last ones export what the last step made, test it, and export it with results.

    Args:
      steps: in order.
      out: the folder of all folders.
      given: FIELD=VALUE, set in every training; of `data`, for fits and tests too.
    """
    data = [f"--config.{line}" for line in given if line.startswith("data.")]
    for step in steps:
        folders = [str(out / name) for name in step.sources]
        match step.kind:
            case "train":
                starts = map("=".join, zip(step.starts, folders, strict=True))
                lines = (*starts, *step.overrides, *given)
                command = ["mbnet-train", f"--config={CONFIG}"]
                command += [f"--workdir={out / step.name}"]
                command += [f"--config.{line}" for line in lines]
            case "combine":
                command = ["mbnet-combine", f"--config={CONFIG}", *data]
                command += [f"--model={folders[0]}", f"--out={out / step.name}"]
                command += [f"--config.{line}" for line in step.overrides]
                command += [f"--add={step.add}"] if step.add else []
                command += _WEIGHTS
            case join:
                command = _export(folders[0], out / step.name)
                command += [f"{_JOINS[join]}={folders[1]}"]
        yield step.name, command
    made, tested = out / _UNTESTED, out / "tested"
    yield _UNTESTED, _export(out / steps[-1].name, made)
    for config, maps in _TESTS:
        command = ["mbnet-eval", f"--config={config}", *data, f"--model={made}"]
        command += [f"--out={tested}", f"--config.eval.maps={maps}"]
        yield f"test_{config}_{maps}", command
    yield NETWORK, [*_export(made, out / NETWORK), f"--results={tested}"]


def _export(model: str | Path, out: Path) -> list[str]:
    command = ["mbnet-export", f"--model={model}", f"--out={out}"]
    return [*command, *_WEIGHTS, *_NO_PROGRAMS]
