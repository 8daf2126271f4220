"""A copy of the project in which the documentation's commands and Python run."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from doc_blocks import ROOT, Block

from configs import base, synthetic
from tools.config_reference import flat

LIMIT = 240  # seconds
# Where the run in runs/synthetic is not as `tiny` has it: it has the checkpoint that
# the pages name. The compiled step depends on none of these, nor on numbers of steps.
TRAINED = ("train.steps_per_epoch=301", "train.checkpoint_every=300")
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
    """Copies the project to `folder`, with tiny configs, and trains there."""
    left = ("runs", "data", "build", "__pycache__")
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.is_dir() and not entry.name.startswith(".") and entry.name not in left:
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(entry, folder / entry.name, ignore=skipped)
        elif entry.is_file():
            shutil.copy(entry, folder)
    small = flat(tiny.tiny_config(Path("data"))) | SAME_STEP
    small |= dict.fromkeys(("model.backbone", "model.mask_backbone"), tiny.ONE_BLOCK)
    for module in (base, synthetic):
        known = flat(module.get_config())
        # Height and width of the synthetic images follow from data's.
        follow = ("data.synthetic.height", "data.synthetic.width")
        shrink(folder, module, {k: small[k] for k in known if k not in follow})
    with (folder / "mbnet_jax/backbones/resnet.py").open("a") as source:
        source.write(f"\n\nDEPTHS[{tiny.ONE_BLOCK!r}] = ((1, 0, 0, 0), False)\n")
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    for module in (folder / "mbnet_jax" / "commands").glob("[!_]*.py"):
        command = python.with_name(f"mbnet-{module.stem}")
        call = f"from mbnet_jax.commands.{module.stem} import main; main()"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{call}" "$@"\n')
        command.chmod(python.stat().st_mode)
    overrides = " ".join(f"--config.{override}" for override in TRAINED)
    run(folder, f"python train.py --config configs/synthetic.py {overrides}", "tiny")
    return folder


def shrink(folder: Path, module, values: dict) -> None:
    """Lets a config of the copy have other values; what it is named stays."""
    values = {key: value for key, value in values.items() if not key.endswith("name")}
    with (folder / "configs" / Path(module.__file__).name).open("a") as source:
        source.write(
            "\n\n_full = get_config\n\n\ndef get_config():\n    c = _full()\n"
            f"    c.update_from_flattened_dict({values!r})\n    return c\n"
        )


def environment(folder: Path) -> dict[str, str]:
    """One device, as on a laptop; compiled programs are shared with other tests."""
    inherited = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    path = os.pathsep.join([str(folder / ".venv" / "bin"), os.environ["PATH"]])
    return inherited | {"PATH": path, "MPLBACKEND": "Agg"}


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
        # The lines before it are empty: errors then tell the page's line.
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
