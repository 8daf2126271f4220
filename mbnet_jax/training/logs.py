"""What a run reports: progress bar, `metrics.jsonl`, and TensorBoard events."""

import json
import os
from pathlib import Path

import jax
from clu import metrics
from tensorboardX import SummaryWriter
from tqdm import tqdm

from mbnet_jax.files import write_whole

Averages = dict[str, metrics.Average]


@jax.jit
def _merge(averages: Averages, scalars: dict[str, jax.Array]) -> Averages:
    return {
        name: averages[name].merge(metrics.Average.from_model_output(value))
        for name, value in scalars.items()
    }


class Logs:
    """Averages scalars over steps on the device, and writes them when asked to."""

    def __init__(self, workdir: Path, *, step: int, total: int, batch_size: int):
        """Continues the logs of a run at `step`.

        Lines of later steps, left by a run that was stopped after its last
        checkpoint, are dropped: they are about to be made again.
        """
        first = jax.process_index() == 0  # the only one that writes and shows
        self._path = workdir / "metrics.jsonl" if first else Path(os.devnull)
        if self._path.is_file():
            lines = self._path.read_text().splitlines(keepends=True)
            kept = [
                line for line in lines if _step_of(line, otherwise=step + 1) <= step
            ]
            write_whole(self._path, "".join(kept))
        self._file = self._path.open("a")
        self._events = SummaryWriter(
            str(workdir / "events"), purge_step=step + 1, write_to_disk=first
        )
        self._bar = tqdm(
            total=total * batch_size,
            initial=step * batch_size,
            desc="training",
            unit="image",
            smoothing=0.1,
            disable=not first,
        )
        self._batch_size = batch_size
        self._averages: Averages = {}
        self._window: tuple[int, Averages, dict[str, float]] | None = None

    def add(self, scalars: dict[str, jax.Array]) -> None:
        """Takes in one step's scalars.

        A window that ended before is fetched now, when the device has the next
        step to work on while the host waits.
        """
        if not self._averages:
            self._averages = {name: metrics.Average.empty() for name in scalars}
        self._averages = _merge(self._averages, scalars)
        self._bar.update(self._batch_size)
        self.write()

    def end_window(self, step: int, **more: float) -> None:
        """Ends a window of averages at `step`; `more` goes into the same line."""
        self.write()
        self._window, self._averages = (step, self._averages, more), {}

    def write(self) -> None:
        """Writes the window that ended last, unless it is written."""
        if self._window is None:
            return
        (step, averages, more), self._window = self._window, None
        values = {name: float(a.compute()) for name, a in averages.items()}
        self._bar.set_postfix(step=step, loss=f"{values['loss']:.3f}")
        self._write_line(step, values | more)

    def evaluation(self, step: int, values: dict[str, float]) -> None:
        """Writes validation scores (0..1) at `step`, and shows them."""
        self._write_line(step, {f"validation/{k}": v for k, v in values.items()})
        shown = ", ".join(f"{k} {100 * v:.1f}" for k, v in values.items())
        self._bar.write(f"step {step}: validation {shown}")

    def _write_line(self, step: int, values: dict[str, float]) -> None:
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Writes what is left, and ends the bar and the files."""
        self.write()
        self._bar.close()
        self._file.close()
        self._events.close()


def _step_of(line: str, otherwise: int) -> int:
    """The line's step; `otherwise` if the line was cut off by a kill."""
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError):
        return otherwise
