"""A tiny training, its folders, and how it ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parent.parent.parent
LIMIT = 300  # seconds that a command may take; one that takes longer hangs
STEPS, EVERY = 24, 8  # of training; between validations
_RUNNING: list[subprocess.Popen] = []  # ended with this program
_CONFIG = {
    "data.height": 64,
    "data.width": 32,
    "data.validation_fraction": 0.25,
    "data.threads": 2,
    "data.synthetic.train_identities": 8,
    "data.synthetic.test_identities": 2,
    "data.synthetic.outfits": 2,
    "data.synthetic.cameras": 2,
    "data.synthetic.train_images": 2,
    "model.branches": "('global',)",
    "model.ktm": False,
    "model.balance": False,
    "model.backbones.global.width": 4,
    "train.batch_size": 8,
    "train.images_per_identity": 2,
    "train.epochs": STEPS // EVERY,
    "train.steps_per_epoch": EVERY,
    "train.checkpoint_every": 3,
    "train.log_every": 1,
    "eval.batch_size": 8,
    "eval.every_epochs": 1,
    "eval.figure_queries": 2,
    "eval.report_lists": 1,
}


class Ended(NamedTuple):
    """A command that ended, or was ended because it hung."""

    code: int | None
    said: str  # on stderr
    seconds: float

    @property
    def error(self) -> str:
        """The last line with an error, shortened."""
        lines = [line for line in self.said.splitlines() if "error: " in line]
        return short(lines[-1]) if lines else "no error: line"

    @property
    def clean(self) -> bool:
        """Whether it neither hung nor printed a traceback."""
        return self.code is not None and "Traceback" not in self.said


def short(text: str, most: int = 150) -> str:
    return text if len(text) <= most else f"{text[: most - 50]} ... {text[-45:]}"


class Place:
    """A data folder and a run's folder, below a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.data, self.run = folder / "data", folder / "run"
        folder.mkdir(parents=True, exist_ok=True)

    def command(self, **more) -> list[str]:
        """Trains and evaluates; `more` are config fields, with __ for a point."""
        fields = _CONFIG | {key.replace("__", "."): v for key, v in more.items()}
        overrides = [f"--config.{key}={value}" for key, value in fields.items()]
        return [
            *(sys.executable, "train.py", "--config", "configs/synthetic.py"),
            *(f"--config.data.root={self.data}", f"--workdir={self.run}"),
            *overrides,
        ]

    def begin(self, command: list[str] | None = None, **popen) -> "Process":
        return Process(command or self.command(), self.folder, **popen)

    def complete(self) -> Ended:
        """Starts the command again, undisturbed."""
        return self.begin().end()

    def count(self, pattern: str) -> int:
        """Files that match, below the folder."""
        return sum(1 for _ in self.folder.glob(pattern))

    def lines(self) -> list[str]:
        """The lines of metrics."""
        with contextlib.suppress(OSError):
            return (self.run / "metrics.jsonl").read_text().splitlines()
        return []


class Process:
    """A command in a session of its own, with its output in a file."""

    def __init__(self, command: list[str], folder: Path, **popen):
        self.began = time.monotonic()
        self._log = folder / f"log-{time.monotonic_ns()}"
        environment = dict(os.environ) | {
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": os.environ["MBNET_FAULTS_CACHE"],
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            "PYTHONPATH": str(ROOT),
        }
        with self._log.open("wb") as log:
            self.popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **popen,
            )
        _RUNNING.append(self.popen)

    def wait_until(self, condition: Callable[[], object]) -> bool:
        """Waits for a moment; False if the command ended before."""
        while not condition():
            if self.popen.poll() is not None:
                return False
            if time.monotonic() - self.began > LIMIT:
                return False
            time.sleep(0.005)
        return True

    def signal(self, number: int, *, group: bool = False) -> None:
        """Sends a signal, to the whole group as a terminal does for Ctrl-C."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.popen.pid, number)

    def end(self, number: int | None = None, *, group: bool = False) -> Ended:
        """Sends a signal, if one is given, and waits for the end."""
        if number is not None:
            self.signal(number, group=group)
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.popen.wait(max(1, self.began + LIMIT - time.monotonic()))
        self.signal(signal.SIGKILL, group=code is None)
        self.popen.wait()
        _RUNNING.remove(self.popen)
        said = self._log.read_text(errors="replace")
        return Ended(code, said, time.monotonic() - self.began)

    def children(self) -> list[int]:
        """The processes that it spawned to render images."""
        path = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        with contextlib.suppress(OSError):
            return [p for p in map(int, path.read_text().split()) if renders(p)]
        return []

    def left(self) -> list[int]:
        """Processes of its session that are there after a moment's grace."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = [p for p in _processes() if _session(p) == self.popen.pid]
            if not found:
                return []
            time.sleep(0.05)
        return found


def end_all() -> None:
    """Ends the commands that are still running."""
    for popen in _RUNNING:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)


def renders(pid: int) -> bool:
    """Whether a process is a worker that renders images."""
    with contextlib.suppress(OSError):
        return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    return False


def _processes() -> list[int]:
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]


def _session(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return None


def content(run: Path) -> dict:
    """What two runs are compared by: arrays, logs, results, and which files exist."""
    import jax
    import orbax.checkpoint as ocp

    found: dict = {}
    with ocp.PyTreeCheckpointer() as reader:
        for folder in sorted([*run.glob("checkpoints/*"), *run.glob("best/*")]):
            for part in ("weights", "training"):
                path = folder.absolute() / part
                # As NumPy arrays, whatever devices wrote them.
                tree = reader.metadata(path).item_metadata.tree
                numpy = ocp.RestoreArgs(restore_type=np.ndarray)
                every = jax.tree.map(lambda _, numpy=numpy: numpy, tree)
                tree = reader.restore(path, restore_args=every)
                found[f"{folder.parent.name}/{folder.name}/{part}"] = _arrays(tree)
    for name in ("metrics.jsonl", "eval/queries.csv", "eval/metrics.json"):
        found[name] = _text(run / name)
    for name in ("eval/report.html", "eval/ranked_lists.png", "config.json"):
        found[name] = bool(_text(run / name))
    return found


def _text(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _arrays(tree) -> dict[str, tuple]:
    import jax

    return {
        jax.tree_util.keystr(path): (np.asarray(leaf).dtype, np.asarray(leaf).tobytes())
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def difference(whole: dict, run: Path) -> str:
    """What differs from an undisturbed run; "" if nothing does."""
    try:
        found = content(run)
    except (OSError, ValueError) as error:
        return f"unreadable: {short(str(error))}"
    return ", ".join(
        sorted(k for k in {*whole, *found} if whole.get(k) != found.get(k))
    )
