"""What a run reports: progress bar, `metrics.jsonl`, and TensorBoard events."""

import json
from pathlib import Path

import jax
from clu import metrics
from tensorboardX import SummaryWriter
from tqdm import tqdm

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
        self._path = workdir / "metrics.jsonl"
        if self._path.is_file():
            lines = self._path.read_text().splitlines(keepends=True)
            kept = [
                line for line in lines if _step_of(line, otherwise=step + 1) <= step
            ]
            self._path.write_text("".join(kept))
        self._file = self._path.open("a")
        self._events = SummaryWriter(str(workdir / "events"), purge_step=step + 1)
        self._bar = tqdm(
            total=total * batch_size,
            initial=step * batch_size,
            desc="training",
            unit="image",
            smoothing=0.1,
        )
        self._batch_size = batch_size
        self._averages: Averages = {}

    def add(self, scalars: dict[str, jax.Array]) -> None:
        """Takes in one step's scalars; nothing waits for the device."""
        if not self._averages:
            self._averages = {name: metrics.Average.empty() for name in scalars}
        self._averages = _merge(self._averages, scalars)
        self._bar.update(self._batch_size)

    def flush(self, step: int, **more: float) -> None:
        """Writes the averages since the last flush, and `more`, at `step`."""
        values = {name: float(a.compute()) for name, a in self._averages.items()}
        self._averages = {}
        if values:
            self._bar.set_postfix(step=step, loss=f"{values['loss']:.3f}")
        self._write(step, values | more)

    def evaluation(self, step: int, values: dict[str, float]) -> None:
        """Writes validation scores (0..1) at `step`, and shows them."""
        self._write(step, {f"validation/{k}": v for k, v in values.items()})
        shown = ", ".join(f"{k} {100 * v:.1f}" for k, v in values.items())
        self._bar.write(f"step {step}: validation {shown}")

    def _write(self, step: int, values: dict[str, float]) -> None:
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Ends the bar and the files."""
        self._bar.close()
        self._file.close()
        self._events.close()


def _step_of(line: str, otherwise: int) -> int:
    """The line's step; `otherwise` if the line was cut off by a kill."""
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError):
        return otherwise
