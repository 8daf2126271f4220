"""What is worth knowing about one GPU, in one run of under nine minutes and one file.

benchmarks/gpu.sh [--out runs/gpu/results.md] [--budget 520] [--backbones resnet50 ...]
    [--small]

The stages run one after the other. Each has its share of the time that is left, by
weight, and leaves to the next ones what it does not need; the training comes last and
takes the rest. A stage that fails, as without PyTorch, or is stopped is recorded with
what it had printed. The file is complete up to the last stage that ended. `--backbones`
are compared with PyTorch's: residual networks by name, and transformers such as
eva02_base_patch16_clip_224, at the next size that their patch divides. `--small`
takes small networks and few steps: it tries the whole script, also on a CPU.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from benchmarks.gpu.limited import Ended, run
from benchmarks.gpu.stages import Stage, stages

PACKAGES = (
    *("jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "flax", "optax"),
    *("nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "torch", "triton", "numpy"),
)
MESSAGES = 40  # lines of each stage's standard error in the file


def main() -> None:
    """Runs the stages and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/gpu/results.md"))
    parser.add_argument("--budget", type=float, default=520, help="seconds")
    parser.add_argument("--backbones", nargs="+")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    # A stage is a session of its own, and ends with this one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    end = time.monotonic() + arguments.budget
    backbones = arguments.backbones or ["resnet18" if arguments.small else "resnet50"]
    tests_on = "cuda" if shutil.which("nvidia-smi") else "cpu"
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        arguments.out.open("w") as file,
    ):
        # Later stages find what earlier ones have tuned, nothing from other runs.
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(folder, "xla"))
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # one GPU, of several
        if arguments.small:
            os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # its times mean nothing
        write(file, "# One GPU\n\n" + "\n".join(machine()))
        left = stages(backbones, arguments.small, tests_on, Path(folder))
        while left:
            stage = left[0]
            seconds = share(end - time.monotonic(), [one.weight for one in left])
            print(f"{stage.title}: at most {seconds:.0f} s", file=sys.stderr)
            ended = run([sys.executable, *stage.command], seconds)
            print(f"  {ended.how} after {ended.seconds:.0f} s", file=sys.stderr)
            write(file, described(stage, ended))
            left = left[1:]
        write(file, "\n".join(losses(Path(folder, "run"))))
    print(f"wrote {arguments.out}")


def share(seconds: float, weights: list[float]) -> float:
    """The part of the first of several stages that divide `seconds` by weight."""
    return max(seconds, 0) * weights[0] / sum(weights)


def write(file, text: str) -> None:
    """Adds a section to the file, at once."""
    file.write(text.strip() + "\n\n")
    file.flush()


def described(stage: Stage, ended: Ended) -> str:
    """The stage's section of the file."""
    messages = "\n".join(ended.messages.splitlines()[-MESSAGES:])
    parts = [
        f"## {stage.title}",
        f"`python {' '.join(stage.command)}`",
        f"{ended.how} after {ended.seconds:.0f} s",
    ]
    for name, text in (("Printed", ended.printed), ("Last messages", messages)):
        if text.strip():
            parts.append(f"{name}:\n\n```\n{text.strip()}\n```")
    return "\n\n".join(parts)


def machine() -> Iterator[str]:
    """Lines on the machine, its GPU, and the versions that matter."""
    yield f"- {time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores"
    yield f"- {platform.platform()}, Python {platform.python_version()}"
    for name in PACKAGES:
        try:
            yield f"- {name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    fields = "name,driver_version,memory.total,clocks.max.sm,power.limit"
    for command in (
        ["git", "log", "-1", "--format=commit %h of %cs"],
        ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"],
    ):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True)
            yield f"- {(done.stdout or done.stderr).strip()}"


def losses(folder: Path) -> Iterator[str]:
    """A table of the losses that a run logged; nothing if it logged none."""
    log = folder / "metrics.jsonl"
    if not log.is_file():
        return
    yield "| step | loss | bad steps |\n|---|---|---|"
    for line in map(json.loads, log.read_text().splitlines()):
        if "loss" in line:
            yield f"| {line['step']} | {line['loss']:.3f} | {line['bad_steps']} |"


if __name__ == "__main__":
    main()
