"""One run of an ablation: train.py in a process of its own, and what came of it."""

import contextlib
import hashlib
import importlib.metadata
import itertools
import json
import signal
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
from mbnet_jax.runs import run_folder as run_config

SCRIPT = Path(__file__).parents[2] / "train.py"
LOG = "log.txt"


class Run(NamedTuple):
    """One training: a row with a seed.

    overrides: FIELD=VALUE, all that differ from the config file.
    digest: see `digest_of`.
    """

    row: Row
    seed: int
    folder: Path
    config: ConfigDict
    overrides: list[str]
    digest: str


def digest_of(config: ConfigDict) -> str:
    """Of a config, but for where the data is and how it is read."""
    content = config.to_dict()
    for field in run_config.FREE:
        content["data"].pop(field.removeprefix("data."))
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_same(config: ConfigDict, folder: Path) -> None:
    """Refuses a folder that holds a run of another config.

    Raises:
      ValueError: with the fields that differ.
    """
    if not (folder / run_config.FILE).is_file():
        return
    changed = [
        line
        for line in run_config.differences(config, folder, refused=())
        if line.partition(":")[0] not in run_config.FREE
    ]
    if changed:
        raise ValueError(
            f"{folder} holds a run of another config (saved -> given):\n  "
            + "\n  ".join(changed)
            + "\nGive another --out, or delete that folder."
        )


def train(run: Run, config: str, lock: int) -> dict:
    """Trains and tests a run, or goes on with it; its line.

    The process keeps `lock` open: while it lives, `out` is not free.

    Raises:
      RuntimeError: with the last line of its output, if it failed.
    """
    resumed = (run.folder / "checkpoints").is_dir()
    run.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(SCRIPT), f"--config={config}"]
    command += [f"--config.{override}" for override in run.overrides]
    command += [f"--workdir={run.folder}"]
    start = time.perf_counter()
    log = run.folder / LOG
    with log.open("a") as output:
        # A session of its own, so that Ctrl-C reaches it once, from here.
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
            f"{''.join(last)} (all of it: {log})"
        )
    tested = json.loads((run.folder / "eval" / "metrics.json").read_text())
    return {
        "row": run.row.name,
        "seed": run.seed,
        "overrides": run.overrides,
        "digest": run.digest,
        "step": tested["step"],
        "results": tested["results"],
        "parameters": parameters(run.folder),
        "images_per_second": images_per_second(run.folder, run.config.train.batch_size),
        # Of what was made before a stop, nobody kept the time.
        "seconds": None if resumed else round(time.perf_counter() - start, 1),
        "versions": versions(),
    }


def versions() -> str:
    """Of the libraries beside jax that a run depends on."""
    return ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("flax", "optax", "numpy")
    )


@contextlib.contextmanager
def stopping(process: subprocess.Popen) -> Iterator[None]:
    """Asks the process to save and end where this one is asked to."""

    def end(number, frame):
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGTERM, before)
        if process.poll() is None:
            process.terminate()
            process.wait()


def parameters(folder: Path) -> int:
    """How many a run's network has, its classifiers included."""
    text = (folder / "parameters.txt").read_text()
    total = next(x for x in text.splitlines() if x.startswith("Total:"))
    return int(total.split()[1].replace(",", ""))


def images_per_second(folder: Path, batch_size: int) -> float | None:
    """The median over the windows of training's log; None where there are too few.

    So compiling, validation and checkpoints do not count.
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
    """TensorBoard's records: length (8 bytes), checksum (4), event, checksum (4)."""
    place = 0
    while place + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        body = data[place + 12 : place + 12 + length]
        if len(body) < length:  # cut off by a kill
            return
        yield Event.FromString(body)
        place += 16 + length
