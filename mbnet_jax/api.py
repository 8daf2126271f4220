"""MBNet from Python: what the commands `mbnet-train` and `mbnet-eval` do.

run = mbnet_jax.train(mbnet_jax.load_config("synthetic"), "runs/mine")
results = run.evaluate()
"""

import importlib.util
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.config import run_folder
from mbnet_jax.data import Dataset, load_dataset
from mbnet_jax.devices.cluster import first_process_first
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import embed_test
from mbnet_jax.evaluation.protocols import drawn_protocol, usable_protocols
from mbnet_jax.evaluation.results import (
    Results,
    evaluate_protocols,
    metrics_content,
    queries_csv,
)
from mbnet_jax.evaluation.table import format_table, paper_notes
from mbnet_jax.files import check_writable, write_whole
from mbnet_jax.json_files import write_json
from mbnet_jax.locks import locked
from mbnet_jax.progress import shows_bold, status, width_of
from mbnet_jax.report import check_report, draw_lists, write_report
from mbnet_jax.runs.checkpoint_files import check_folder
from mbnet_jax.runs.checkpoints import BEST
from mbnet_jax.runs.events import write_test
from mbnet_jax.runs.header import aligned, header
from mbnet_jax.runs.hold import held
from mbnet_jax.runs.metrics_file import METRICS
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.training import loop
from mbnet_jax.training.check import check_run

_LISTS = "ranked_lists.png"


class Run(RunFolder):
    """A run on disk, to evaluate: `Run("runs/prcc").evaluate()`."""

    def __init__(
        self,
        path: str | Path,
        mesh: Mesh | None = None,
        *,
        dataset: Dataset | None = None,
    ):
        """Reads the run in the folder `path`.

        Args:
          path: the folder.
          mesh: the devices to evaluate on; all unless given.
          dataset: what the run's config loads, if it is loaded already.

        Raises:
          FileNotFoundError, ValueError: as `RunFolder`.
        """
        super().__init__(path)
        self._mesh = make_mesh() if mesh is None else mesh
        self._dataset = dataset

    def evaluate(
        self, config: ConfigDict | None = None, *, which: str | int = BEST
    ) -> Results:
        """Evaluates checkpoint `which`, "best" or a step, on the test split.

        Prints the table, and writes `eval/metrics.json`, `eval/queries.csv`,
        `eval/ranked_lists.png` and `eval/report.html` into the run's folder, and scores
        and lists into a file of TensorBoard's in `events/`.

        Args:
          config: in place of the run's, to evaluate differently.
          which: the checkpoint.

        Returns:
          protocol -> embedding -> measure ("rank1", "mAP", ...) -> value in 0..1.

        Raises:
          FileNotFoundError: if there is no such checkpoint.
          ValueError: if a field does not fit the run, the data or the devices.
        """
        config = self.config if config is None else config
        mesh = self._mesh
        check_run(config, mesh, training=False)
        for line in self.differences(config):
            print(f"config differs from the saved run's: {line}")
        loads = self._dataset is None
        if loads:
            self._dataset = first_process_first(
                lambda: load_dataset(config, training=False)
            )
        dataset = self._dataset
        check_folder(self.eval)
        check_writable(self.eval, "make room, or correct its permissions")
        network = self.load(mesh, which)._replace(config=config)
        protocols, notes = usable_protocols(dataset.protocols, dataset.test)
        check_report(config, protocols, dataset.test)
        if loads:  # after training, all but the step is known
            used = {p.query for p in protocols} | {p.gallery for p in protocols}
            splits = {name: s for name, s in dataset.test.items() if name in used}
            params = network.variables["params"]
            step = f"step {network.step:,} in {self.path}"
            print(header(config, splits, params, mesh, checkpoint=step))

        embedded = embed_test(config, network, dataset, protocols, mesh)
        with status("ranking the gallery"):
            outcomes = evaluate_protocols(config, embedded, protocols)
        results = {name: outcome.values for name, outcome in outcomes.items()}
        notes = [*notes, *paper_notes(protocols)]
        print(f"\n{config.name}, step {network.step}, test split, per cent\n")
        look = {"width": width_of(sys.stdout), "bold": shows_bold(sys.stdout)}
        print(format_table(results, protocols, **look))
        for number, note in enumerate(notes):
            print(f"{'' if number else chr(10)}note: {note}")

        if jax.process_index():  # all have the results; one writes them
            return results
        content = metrics_content(config.name, network.step, protocols, outcomes, notes)
        with locked(self.eval):  # another evaluation's files are not mixed with these
            write_json(self.eval / METRICS, content)
            write_whole(self.eval / "queries.csv", queries_csv(outcomes))
            if config.eval.figure_queries:
                picture = self.eval / _LISTS
                draw_lists(config, drawn_protocol(protocols), embedded, picture)
            if config.eval.report:
                with status("writing the report"):
                    write_report(self, network, protocols, outcomes, embedded, notes)
            drawn = config.eval.figure_queries > 0
            lists = self.eval / _LISTS if drawn else None
            write_test(self.path, network.step, results, lists)
        print(f"\n{aligned(self._to_open(config))}")
        return results

    def _to_open(self, config: ConfigDict) -> Iterator[tuple[str, str]]:
        """What shows the results of an evaluation, the best first."""
        files = [
            *["report.html"] * config.eval.report,
            *[_LISTS] * (config.eval.figure_queries > 0),
            METRICS,
        ]
        for title, file in zip(["to open"] + [""] * 2, files, strict=False):
            yield title, str(self.eval / file)
        if importlib.util.find_spec("tensorboard"):
            yield "curves", f"tensorboard --logdir {shlex.quote(str(self.path))}"


def train(
    config: ConfigDict,
    workdir: str | Path | None = None,
    *,
    mesh: Mesh | None = None,
    loss: Callable | None = None,
) -> Run:
    """Trains a network, or resumes the run in `workdir`.

    Args:
      config: for example of `load_config`.
      workdir: the run's folder; `runs/<config name>` unless given.
      mesh: the devices; all unless given.
      loss: in place of `losses.total`, with its arguments and results.

    Raises:
      ValueError: if a field does not fit the data, the devices or the run.
      BlockingIOError: if another process trains in the folder.
      OSError: if the folder cannot be written to.
      FloatingPointError: after too many steps whose loss or gradient is not finite.
      InterruptedTraining: after SIGTERM or Ctrl-C, with the state saved.
    """
    mesh = make_mesh() if mesh is None else mesh
    check_run(config, mesh, training=True)
    workdir = run_folder(config, workdir)
    with held(workdir):
        dataset = first_process_first(lambda: load_dataset(config))
        # Before hours of training rather than after.
        protocols, notes = usable_protocols(dataset.protocols, dataset.test)
        check_report(config, protocols, dataset.test)
        for note in notes:
            print(f"note: {note}")
        loop.train(config, dataset, workdir, mesh, loss=loss)
    return Run(workdir, mesh, dataset=dataset)
