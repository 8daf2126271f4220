"""What a run reports: progress bar, `metrics.jsonl`, and TensorBoard events."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
from clu import metrics
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar
from tqdm import tqdm

from mbnet_jax.files import filename_in_errors, write_whole

Averages = dict[str, metrics.Average]
_VALIDATION = "validation/"
_COUNTS = ("bad_steps", "bad_in_a_row")


@jax.jit
def _merge(averages: Averages, scalars: dict[str, jax.Array]) -> Averages:
    """Adds a step's scalars; those of a bad step do not count."""
    good = scalars["bad_in_a_row"] == 0
    return {
        name: average.merge(
            metrics.Average(
                total=jnp.where(good, scalars[name], 0), count=good.astype(jnp.int32)
            )
        )
        for name, average in averages.items()
    }


class Logs:
    """Averages scalars over steps on the device, and writes them when asked to.

    Every process of a run does the same; process 0 alone writes and shows.
    `bad_in_a_row` is that of the window written last, whose last step is `step`.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        step: int,
        evaluated: int,
        total: int,
        batch_size: int,
        schedule: Callable[[int], jax.Array],
    ):
        """Continues the logs of a run at `step`.

        Lines of later steps, left by a run that was stopped after its last
        checkpoint, and validation scores of later steps than `evaluated` are
        dropped: they are about to be made again. `schedule` is the learning rate's.
        """
        self.step, self.bad_in_a_row = step, 0
        self._schedule = schedule
        self._path = workdir / "metrics.jsonl"
        self._writes = jax.process_index() == 0
        if self._writes:
            if self._path.is_file():
                lines = self._path.read_text().splitlines(keepends=True)
                kept = [line for line in lines if _stays(line, step, evaluated)]
                write_whole(self._path, "".join(kept))
            with filename_in_errors(workdir):
                self._open(workdir, step)
        self._bar = tqdm(
            total=total * batch_size,
            initial=step * batch_size,
            desc="training",
            unit="image",
            smoothing=0.1,
            disable=not self._writes,
        )
        self._batch_size = batch_size
        self._averages: Averages = {}
        self._counts: dict[str, jax.Array] = {}
        self._window: tuple[int, Averages, dict[str, jax.Array]] | None = None

    def _open(self, workdir: Path, step: int) -> None:
        self._file = self._path.open("a")
        # Not SummaryWriter: its thread dies of a full disk, and its queue then blocks.
        (workdir / "events").mkdir(exist_ok=True)
        self._events = EventsWriter(str(workdir / "events" / "events"))
        self._event(step + 1, file_version="brain.Event:2")
        # TensorBoard, too, drops what comes after `step`.
        self._event(step + 1, session_log=SessionLog(status=SessionLog.START))

    def add(self, scalars: dict[str, jax.Array]) -> None:
        """Takes in one step's scalars.

        A window that ended before is fetched now, when the device has the next
        step to work on while the host waits.
        """
        if not self._averages:
            names = scalars.keys() - _COUNTS
            self._averages = {name: metrics.Average.empty() for name in sorted(names)}
        self._averages = _merge(self._averages, scalars)
        self._counts = {name: scalars[name] for name in _COUNTS}
        self._bar.update(self._batch_size)
        self.write()

    def end_window(self, step: int) -> None:
        """Ends a window of averages at `step`."""
        self.write()
        self._window, self._averages = (step, self._averages, self._counts), {}

    def write(self) -> None:
        """Writes the window that ended last, unless it is written."""
        if self._window is None:
            return
        (self.step, *fetched), self._window = jax.device_get(self._window), None
        averages, counts = fetched
        bad_steps, self.bad_in_a_row = (int(counts[name]) for name in _COUNTS)
        # None where all steps were bad.
        values = {
            name: float(a.total / a.count) for name, a in averages.items() if a.count
        }
        values["learning_rate"] = float(self._schedule(self.step - 1 - bad_steps))
        values["bad_steps"] = bad_steps
        shown = {"step": self.step, "loss": values.get("loss", float("nan"))}
        self._bar.set_postfix(shown | ({"bad": bad_steps} if bad_steps else {}))
        self._write_line(self.step, values)

    def evaluation(self, step: int, values: dict[str, float]) -> None:
        """Writes validation scores (0..1) at `step`, and shows them."""
        self._write_line(step, {_VALIDATION + k: v for k, v in values.items()})
        if self._writes:
            shown = ", ".join(f"{k} {100 * v:.1f}" for k, v in values.items())
            self._bar.write(f"step {step}: validation {shown}")

    def _write_line(self, step: int, values: dict[str, float]) -> None:
        if not self._writes:
            return
        with filename_in_errors(self._path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            for name, value in values.items():
                self._event(step, summary=scalar(name, value))
            self._events.flush()

    def _event(self, step: int, **content) -> None:
        self._events.write_event(Event(step=step, wall_time=time.time(), **content))

    def close(self) -> None:
        """Writes what is left, and ends the bar and the files."""
        try:
            self.write()
        finally:
            self._bar.close()
            if self._writes:
                with filename_in_errors(self._path):
                    self._file.close()
                    self._events.close()


def _stays(line: str, step: int, evaluated: int) -> bool:
    """Whether a line is not about to be made again; half a line, after a kill, is."""
    try:
        values = json.loads(line)
        scores = any(name.startswith(_VALIDATION) for name in values)
        return values["step"] <= (evaluated if scores else step)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        return False
