"""Where the results of a network's tests are: `eval/`, and `eval/<name>/`."""

import os
from pathlib import Path

from mbnet_jax.runs.metrics_file import METRICS, read_metrics
from mbnet_jax.runs.tested import folder_name


class ResultsFolder:
    """The folder of a run, or of an export's results.

    Attributes:
      path: the folder.
    """

    def __init__(self, path: str | Path):
        """Reads nothing yet."""
        self.path = Path(path)

    @property
    def eval(self) -> Path:
        """The folder of the last evaluation."""
        return self.eval_of()

    def eval_of(self, name: str = "") -> Path:
        """The folder of the last evaluation on the dataset `name`; "": the run's own.

        `name` is that of a config; of a dataset, if the run was trained on several.
        """
        own = self.path / "eval"
        return own / folder_name(name) if name else own

    def metrics(self, name: str = "") -> dict:
        """The content of `metrics.json` in `eval_of(name)`; {} if there is none.

        Raises:
          ValueError: if the file is damaged.
        """
        path = self.eval_of(name) / METRICS
        return read_metrics(path) if os.path.lexists(path) else {}
