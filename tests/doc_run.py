"""A copy of the project in which the documentation's commands and Python run."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import jax
import pytest
import tiny
from doc_blocks import ROOT, Block

from configs import base, synthetic
from mbnet_jax.config import flat
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints
from mbnet_jax.runs.load import load

LIMIT = 240  # seconds
CHECKPOINT = 600  # which the pages name
# The compiled step depends on none of these, nor on numbers of steps.
SAME_STEP = {
    "train.schedule": "step",
    "train.warmup_epochs": 0.0,
    "train.decay_epochs": (),
}
# Runs the Python blocks of a page in one interpreter, as a reader would.
SESSION = r"""
import json, sys
names = {"__name__": "__main__"}
for line in sys.stdin:
    file, text = json.loads(line)
    exec(compile(text, file, "exec"), names)
    print("\0", flush=True)
"""


def make_copy(folder: Path) -> Path:
    """Copies the project to `folder`, with tiny configs, and trains there.

    The best network of `runs/synthetic` is there as step `CHECKPOINT`, too.
    """
    left = ("runs", "data", "build", "__pycache__")
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.is_dir() and not entry.name.startswith(".") and entry.name not in left:
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(entry, folder / entry.name, ignore=skipped)
        elif entry.is_file():
            shutil.copy(entry, folder)
    small = flat(tiny.tiny_config(Path("data"))) | SAME_STEP
    names = [key for key in small if key.startswith("model.backbones.")]
    names = [key for key in names if key.endswith(".name")]
    small |= dict.fromkeys(names, tiny.ONE_BLOCK)
    for module in (base, synthetic):
        known = flat(module.get_config())
        # Height and width of the synthetic images follow from data's.
        follow = ("data.synthetic.height", "data.synthetic.width")
        shrink(folder, module, {k: small[k] for k in known if k not in follow})
    with (folder / "mbnet_jax/backbones/resnet.py").open("a") as source:
        source.write(f"\n\nDEPTHS[{tiny.ONE_BLOCK!r}] = ((1, 0, 0, 0), False)\n")
    (folder / ".venv" / "bin").mkdir(parents=True)
    write_script(folder, "python")
    for name, module in installed_commands().items():
        write_script(folder, name, f"-m {module}")
    replace(folder / "benchmarks/search.py", "default=100_000", "default=2_000")
    run(folder, "python train.py --config configs/synthetic.py", "tiny")
    save_again(folder / "runs/synthetic", CHECKPOINT)
    return folder


def save_again(workdir: Path, step: int) -> None:
    """Saves a run's best weights as those of another step, for tests of it."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.know_one_block(patch)
        network = load(workdir, make_mesh(jax.devices()[:1]))
    with Checkpoints(workdir, keep=3) as checkpoints:
        checkpoints.save(step, {"weights": network.variables}, NO_BEST)


def replace(file: Path, old: str, new: str) -> None:
    """Replaces a text that the file has once."""
    text = file.read_text()
    assert text.count(old) == 1, f"{file}: {old}"
    file.write_text(text.replace(old, new))


def installed_commands() -> dict[str, str]:
    """Returns the module of each command that is installed with the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        name: entry.removesuffix(":main") for name, entry in project["scripts"].items()
    }


def write_script(folder: Path, name: str, arguments: str = "") -> None:
    """Writes a script in the copy's environment that calls python with arguments."""
    script = folder / ".venv" / "bin" / name
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


def shrink(folder: Path, module, values: dict) -> None:
    """Lets a config of the copy have other values, but for what identifies it."""
    values = {k: v for k, v in values.items() if k not in ("name", "data.name")}
    with (folder / "configs" / Path(module.__file__).name).open("a") as source:
        source.write(
            "\n\n_full = get_config\n\n\ndef get_config():\n    c = _full()\n"
            f"    c.update_from_flattened_dict({values!r})\n    return c\n"
        )


def environment(folder: Path) -> dict[str, str]:
    """One device, as on a laptop; programs are compiled in a hurry."""
    inherited = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    path = os.pathsep.join([str(folder / ".venv" / "bin"), os.environ["PATH"]])
    hurry = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return inherited | hurry | {"PATH": path, "MPLBACKEND": "Agg"}


def run(folder: Path, text: str, where: str) -> None:
    """Runs shell commands; the first that fails fails the test."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    if done.returncode:
        pytest.fail(f"{where}: {text}\nended with {done.returncode}:\n{done.stdout}")


class Session:
    """An interpreter for the Python blocks of one page."""

    def __init__(self, folder: Path):
        self._process = subprocess.Popen(
            [sys.executable, "-c", SESSION],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, block: Block) -> None:
        # After as many empty lines, an error has the page's line.
        text = "\n" * (block.line - 1) + block.text
        print(json.dumps([block.page, text]), file=self._process.stdin, flush=True)
        output = []
        for line in self._process.stdout:
            if line == "\0\n":
                return
            output.append(line)
        where = f"{block.page}:{block.line}"
        pytest.fail(f"{where}:\n{block.text}\nfailed:\n{''.join(output)}")

    def close(self) -> None:
        self._process.communicate(timeout=LIMIT)
