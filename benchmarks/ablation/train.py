"""One run of an ablation: a process of train.py, and the line of its results."""

import hashlib
import importlib.metadata
import itertools
import json
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict
from tensorboardX.proto.event_pb2 import Event

from benchmarks.ablation.rows import Row
from benchmarks.stopping import stopping
from mbnet_jax.runs.run_folder import FILE, FREE, RunFolder

SCRIPT = Path(__file__).parents[2] / "train.py"
LOG = "log.txt"


class Run(NamedTuple):
    """One training run: a row and a seed.

    overrides: FIELD=VALUE, all changes to the config file.
    digest: see `digest_of`.
    """

    row: Row
    seed: int
    folder: Path
    config: ConfigDict
    overrides: list[str]
    digest: str


def digest_of(config: ConfigDict) -> str:
    """Returns a digest of all config fields that can change the results.

    These are all but the location of the data and how it is read.
    """
    content = config.to_dict()
    for field in FREE:
        content["data"].pop(field.removeprefix("data."), None)
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_same(config: ConfigDict, folder: Path) -> None:
    """Checks that `folder` holds no run of another config.

    Raises:
      ValueError: listing the fields that differ.
    """
    if not (folder / FILE).is_file():
        return
    changed = [
        line
        for line in RunFolder(folder).differences(config, refused=())
        if line.partition(":")[0] not in FREE
    ]
    if changed:
        raise ValueError(
            f"{folder} holds a run of another config (saved -> given):\n  "
            + "\n  ".join(changed)
            + "\nGive another --out, or delete that folder."
        )


def train(run: Run, config: str, lock: int) -> dict:
    """Trains and tests a run, or resumes it; returns its line.

    The process inherits `lock`, so the ablation's folder is locked while it lives.

    Raises:
      RuntimeError: with the last line of its output, if the process failed.
    """
    resumed = (run.folder / "checkpoints").is_dir()
    run.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(SCRIPT), f"--config={config}"]
    command += [f"--config.{override}" for override in run.overrides]
    command += [f"--workdir={run.folder}"]
    start = time.perf_counter()
    log = run.folder / LOG
    with log.open("a") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            start_new_session=True,
        )
        with stopping(process):
            code = process.wait()
    if code:
        last = log.read_text().replace("\r", "\n").strip().splitlines()[-1:]
        raise RuntimeError(
            f"{run.row.name}, seed {run.seed} (exit code {code}): "
            f"{''.join(last)} (full output: {log})"
        )
    tested = RunFolder(run.folder).metrics()
    return {
        "row": run.row.name,
        "seed": run.seed,
        "overrides": run.overrides,
        "digest": run.digest,
        "step": tested["step"],
        "results": tested["results"],
        "parameters": parameters(run.folder),
        "images_per_second": images_per_second(run.folder, run.config.train.batch_size),
        # Unknown for a resumed run: the time before the interruption was not saved.
        "seconds": None if resumed else round(time.perf_counter() - start, 1),
        "versions": versions(),
    }


def versions() -> str:
    """Returns the versions of the libraries beside jax that a run depends on."""
    return ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("flax", "optax", "numpy")
    )


def parameters(folder: Path) -> int:
    """Returns the number of parameters in a run's network, with its classifiers."""
    text = (folder / "parameters.txt").read_text()
    total = next(x for x in text.splitlines() if x.startswith("Total:"))
    return int(total.split()[1].replace(",", ""))


def images_per_second(folder: Path, batch_size: int) -> float | None:
    """Returns the median throughput over the training log's windows; None if too few.

    The median excludes compilation, validation and checkpoints.
    """
    rates = []
    for path in sorted((folder / "events").iterdir()):
        times = {}
        for event in _events(path.read_bytes()):
            if any(value.tag == "loss" for value in event.summary.value):
                times[event.step] = event.wall_time
        steps = sorted(times)
        rates += [
            (after - before) * batch_size / (times[after] - times[before])
            for before, after in itertools.pairwise(steps)
            if times[after] > times[before]
        ]
    return round(statistics.median(rates), 2) if rates else None


def _events(data: bytes) -> Iterator[Event]:
    """Yields a TensorBoard file's events.

    A record is length (8 bytes), checksum (4), event, checksum (4).
    """
    offset = 0
    while offset + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, offset)
        body = data[offset + 12 : offset + 12 + length]
        if len(body) < length:  # truncated by a kill
            return
        yield Event.FromString(body)
        offset += 16 + length
