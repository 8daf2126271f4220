"""What training reports: progress bar, `metrics.jsonl`, and TensorBoard events."""

import collections
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from clu import metrics

from mbnet_jax.files import filename_in_errors
from mbnet_jax.progress import progress
from mbnet_jax.runs.events import Events
from mbnet_jax.training.log_lines import VALIDATION, drop_repeated

_COUNTS = ("bad_steps", "bad_in_a_row")
_AFTER_TERMS = ("loss", "gradient_norm")
_BATCH_STATS = "batch_stats"


class _Window(NamedTuple):
    """What is gathered on the device between two lines of metrics.

    averages: of each scalar, over the good steps.
    not_finite: of each scalar, whether it was the first that was not finite in a step.
    streak: the longest run of bad steps, and `streak_end`, the step it reached.
    bad_steps: of the whole run.
    """

    averages: dict[str, metrics.Average]
    not_finite: dict[str, jax.Array]
    streak: jax.Array
    streak_end: jax.Array
    bad_steps: jax.Array


@jax.jit
def _merge(window: _Window, step: jax.Array, scalars: dict[str, jax.Array]) -> _Window:
    """Adds the scalars of `step`."""
    in_a_row = scalars["bad_in_a_row"]
    good = in_a_row == 0
    longer = in_a_row > window.streak
    return _Window(
        averages={
            name: average.merge(
                metrics.Average(
                    total=jnp.where(good, scalars[name], 0),
                    count=good.astype(jnp.int32),
                )
            )
            for name, average in window.averages.items()
        },
        not_finite={
            name: window.not_finite[name] | found
            for name, found in _origins(good, scalars).items()
        },
        streak=jnp.where(longer, in_a_row, window.streak),
        streak_end=jnp.where(longer, step, window.streak_end),
        bad_steps=scalars["bad_steps"],
    )


def _origins(good: jax.Array, scalars: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """For each scalar, whether it is the first of a bad step that is not finite.

    The loss follows from its terms, and the gradient from the loss. If all are finite,
    the step was bad for its batch statistics.
    """
    terms = sorted(scalars.keys() - {*_COUNTS, *_AFTER_TERMS})
    origins = {name: ~good & ~jnp.isfinite(scalars[name]) for name in terms}
    unexplained = ~good & ~jnp.any(jnp.stack([*origins.values(), good]))
    for name in _AFTER_TERMS:
        origins[name] = unexplained & ~jnp.isfinite(scalars[name])
        unexplained &= ~origins[name]
    return origins | {_BATCH_STATS: unexplained}


def _empty(scalars: dict[str, jax.Array]) -> _Window:
    names = sorted(scalars.keys() - _COUNTS)
    return _Window(
        {name: metrics.Average.empty() for name in names},
        dict.fromkeys((*names, _BATCH_STATS), np.bool_(False)),
        *[np.int32(0)] * 3,
    )


class Streak(NamedTuple):
    """Bad steps in a row: how many, the last of them, and the terms not finite."""

    length: int
    end: int
    terms: tuple[str, ...]


class Logs:
    """Averages scalars over steps on the device, and writes them when asked to.

    Every process of a run makes the same calls; process 0 alone writes and shows.
    `streak` is the longest run of bad steps in the last written window.
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
        best: float = -1.0,
    ):
        """Continues the logs of a run at `step`.

        Lines of later steps, left by a run that stopped after its last checkpoint, and
        validation scores of later steps than `evaluated` are dropped, since both will
        be repeated. `schedule` is the learning rate's. `best` is the best validation
        mAP so far; below 0 if there is none.
        """
        self.streak = Streak(0, step, ())
        self._schedule, self._total, self._best = schedule, total, best
        self._path = workdir / "metrics.jsonl"
        self._writes = jax.process_index() == 0
        if self._writes:
            if os.path.lexists(self._path):
                drop_repeated(self._path, step, evaluated)
            with filename_in_errors(workdir):
                self._file = self._path.open("a")
            self._events = Events(workdir)
            self._events.resume(step + 1)
        self._exits = contextlib.ExitStack()
        self._bar = self._exits.enter_context(
            progress(
                total,
                "training",
                unit="step",
                initial=step,
                each=(batch_size, "image"),
                plain=False,  # a line for each window instead
            )
        )
        self._bar.poll = self._count_finished
        # Steps that the device may still work on, oldest first.
        self._running: collections.deque[jax.Array] = collections.deque()
        self._counting = threading.Lock()
        self._losses: list[str] = []
        self._validation: list[str] = [] if best < 0 else [f"best {100 * best:.1f}"]
        self._window: _Window | None = None
        self._ended: tuple[int, _Window] | None = None

    def add(self, step: int, scalars: dict[str, jax.Array]) -> None:
        """Adds the scalars of `step`.

        A window that ended before is fetched now, when the device has the next
        step to work on while the host waits.
        """
        if self._window is None:
            self._window = _empty(scalars)
        self._window = _merge(self._window, np.int32(step), scalars)
        self._running.append(scalars["loss"])
        self._count_finished()
        self.write()

    def _count_finished(self) -> None:
        """Shows the steps that the device has finished; waits for none."""
        with self._counting:
            finished = 0
            while self._running and _is_ready(self._running[0]):
                self._running.popleft()
                finished += 1
            if finished:
                self._bar.update(finished)

    def end_window(self, step: int) -> None:
        """Ends a window of averages at `step`."""
        self.write()
        self._ended, self._window = (step, self._window), None

    def write(self) -> None:
        """Writes the window that ended last, unless it is written."""
        if self._ended is None:
            return
        (step, window), self._ended = jax.device_get(self._ended), None
        self._count_finished()
        bad_steps = int(window.bad_steps)
        # Empty where all steps were bad.
        values = {
            name: float(a.total / a.count)
            for name, a in window.averages.items()
            if a.count
        }
        values["learning_rate"] = float(self._schedule(step - 1 - bad_steps))
        values["bad_steps"] = bad_steps
        terms = tuple(name for name, found in window.not_finite.items() if found)
        self.streak = Streak(int(window.streak), int(window.streak_end), terms)
        if window.streak and self._writes:
            self._bar.write(
                f"warning: up to step {step}, {bad_steps} steps were skipped; not "
                f"finite: {', '.join(terms)}",
                file=sys.stderr,
            )
        self._show(step, values.get("loss", float("nan")), bad_steps)
        more = {"not_finite": list(terms)} if terms else {}
        self._write_line(step, values, more)
        # Not in metrics.jsonl, which is the same however often a run is interrupted.
        if self._writes and (speed := self._bar.speed()):
            self._events.scalars(step, {"images_per_second": speed})

    def _show(self, step: int, loss: float, bad_steps: int) -> None:
        bad = f"{bad_steps} bad step{'s' * (bad_steps != 1)}"
        self._losses = [f"loss {loss:.2f}"] + [bad] * (bad_steps > 0)
        self._bar.show(*self._losses, *self._validation)
        line = [*self._losses, *self._bar.speed_and_left()]
        self._bar.write_plain(f"step {step}/{self._total}: {', '.join(line)}")

    def evaluation(self, step: int, values: dict[str, float]) -> None:
        """Writes validation scores (0..1) at `step`, and shows them."""
        self._write_line(step, {VALIDATION + k: v for k, v in values.items()})
        if not self._writes:
            return
        score = values["mAP"]
        is_best = score > self._best
        self._best = max(score, self._best)
        shown = ", ".join(f"{k} {100 * v:.1f}" for k, v in values.items())
        best = "the best so far" if is_best else f"best mAP {100 * self._best:.1f}"
        self._bar.write(f"step {step}: validation {shown} ({best})")
        self._validation = [f"mAP {100 * score:.1f}", f"best {100 * self._best:.1f}"]
        self._bar.show(*self._losses, *self._validation)

    def print(self, text: str) -> None:
        """Prints a line above the bar."""
        self._bar.write(text)

    def paused(self) -> contextlib.AbstractContextManager:
        """Leaves the time of its body out of the images a second."""
        return self._bar.rate.paused()

    def _write_line(
        self, step: int, values: dict[str, float], more: dict | None = None
    ) -> None:
        if not self._writes:
            return
        with filename_in_errors(self._path):
            line = {"step": step, **values, **(more or {})}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self._events.scalars(step, values)

    def close(self) -> None:
        """Writes what is left, and ends the bar and the files."""
        try:
            self.write()
        finally:
            self._exits.close()
            if self._writes:
                with filename_in_errors(self._path):
                    self._file.close()
                self._events.close()


def _is_ready(value: jax.Array | np.ndarray) -> bool:
    return not isinstance(value, jax.Array) or value.is_ready()
