"""An exported network, evaluated as a run is; its results are in a folder beside it.

config = mbnet_jax.load_config("synthetic_unseen")
results = mbnet_jax.ExportedRun("exported/mine").evaluate(config)
"""

import os
from pathlib import Path

from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.api import Run
from mbnet_jax.config import check_config
from mbnet_jax.data.variants import with_variants
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.results import Results
from mbnet_jax.runs import exported, load
from mbnet_jax.runs.calibration_file import Calibration, read_calibrations
from mbnet_jax.runs.checkpoints import BEST
from mbnet_jax.runs.config_file import FILE, config_of
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.tested import folder_name, has_own_datasets, with_network_of

_LOCAL = ("root", "parsing_dir")  # what an export does not say


class ExportedRun(Run):
    """An export: `ExportedRun("owner/name").evaluate(config)`.

    Nothing is written into the export. Its results are in `path`, as those of a run
    are in the run's folder.
    """

    def __init__(
        self,
        source: str | Path,
        out: str | Path | None = None,
        mesh: Mesh | None = None,
    ):
        """Reads the config of an export.

        Args:
          source: the folder of an export, or its Hugging Face hub id.
          out: the folder for its results; `default_out(source)` unless given.
          mesh: the devices to evaluate on; all unless given.

        Raises:
          FileNotFoundError, ValueError: as `runs.load.find`; also if `source` is a run,
            or `out` is a run or an export.
        """
        self._folder = load.find(source)
        if not exported.is_exported(self._folder):
            raise ValueError(
                f"{source} is a run, whose results are in its own folder; leave out "
                "--out"
            )
        self._source = str(source)
        self.path = default_out(source) if out is None else Path(out)
        if os.path.lexists(self.path / FILE):
            raise ValueError(
                f"{self.path} is a run or an export: the results of {source} would be "
                "taken for its own; give another folder with --out"
            )
        content = exported.read_exported(self._folder)
        self.config = config_of(content)
        self.num_classes = content["num_classes"]
        self.num_clothes = content["num_clothes"]
        self.labels = None
        self._step: int = content["step"]
        self._digest: str = content.get("files", {}).get(exported.WEIGHTS, "")
        self._mesh = make_mesh() if mesh is None else mesh
        self._dataset = None

    @property
    def origin(self) -> str:
        """Where the network comes from, for people to read."""
        return f"the export {self._source}"

    @property
    def entries(self) -> dict[str, str]:
        """What `metrics.json` says of the network, besides its step.

        The digest of its weights: another export may take the folder later.
        """
        return {"weights": self._digest}

    def step_of(self, which: str | int) -> int | None:
        """The step of its only checkpoint; None for another one."""
        return self._step if which in (BEST, self._step) else None

    def calibrations(self, step: int) -> list[Calibration]:
        """Those that tests of the export left in `path`, then those of the export."""
        return [*super().calibrations(step), *read_calibrations(self._folder, step)]

    def load(self, mesh: Mesh, which: str | int = BEST) -> Network:
        """Reads the weights.

        Raises:
          ValueError: if they cannot be read, or `which` is not "best".
        """
        return load.load(self._folder, mesh, which)

    def differences(
        self, config: ConfigDict, refused: tuple[str, ...] = ()
    ) -> list[str]:
        """As in a run, except for folders, which an export does not name."""
        lines = super().differences(config, refused)
        return [
            line
            for line in lines
            if line.partition(":")[0].rpartition(".")[2] not in _LOCAL
        ]

    def evaluate(self, config: ConfigDict, *, which: str | int = BEST) -> Results:
        """Evaluates the network on the test split of the config's dataset.

        As `Run.evaluate`: a dataset that the network was not trained on has its results
        in `eval/<name>/`. Only `data` and `eval` of the config are read.

        Args:
          config: names the dataset and where it is.
          which: "best", the only checkpoint.

        Returns:
          protocol -> embedding -> measure -> value in 0..1.

        Raises:
          ValueError: if a field does not fit the network, the data or the devices.
        """
        check_config(config)
        config = with_variants(config)
        if has_own_datasets(self.config, config):
            config = with_network_of(self.config, config)
        return super().evaluate(config, which=which)


def default_out(source: str | Path) -> Path:
    """The folder for the results of an export: `runs/<its name>-export`."""
    return Path("runs", f"{folder_name(Path(os.path.abspath(source)).name)}-export")


def open_run(
    source: str | Path, out: str | Path | None = None, mesh: Mesh | None = None
) -> Run:
    """The run, or the export with its results in `out`, to evaluate.

    Args:
      source: the folder of a run or an export, or the hub id of an export.
      out: as in `ExportedRun`.
      mesh: the devices to evaluate on; all unless given.

    Raises:
      FileNotFoundError, ValueError: as `Run` and `ExportedRun`; also if `out` is given
        and `source` is a run.
    """
    if exported.is_exported(load.find(source)) or out is not None:
        return ExportedRun(source, out, mesh)
    return Run(source, mesh)
