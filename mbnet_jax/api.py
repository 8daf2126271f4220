"""MBNet from Python: what the commands `mbnet-train` and `mbnet-eval` do.

run = mbnet_jax.train(mbnet_jax.load_config("synthetic"), "runs/mine")
results = run.evaluate()
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.config import check_config, run_folder
from mbnet_jax.data import Dataset, load_dataset
from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.data.parts import configs_of
from mbnet_jax.data.variants import with_variants
from mbnet_jax.devices.cluster import first_process_first
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import embed_test
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.evaluation.foreign import check_images, load_foreign
from mbnet_jax.evaluation.predicted import parsing_function
from mbnet_jax.evaluation.protocols import usable_protocols
from mbnet_jax.evaluation.results import Results, evaluate_protocols
from mbnet_jax.evaluation.table import format_table, paper_notes
from mbnet_jax.evaluation.verification import told_apart
from mbnet_jax.evaluation.verification_table import pairs_text
from mbnet_jax.files import check_writable
from mbnet_jax.progress import shows_bold, status, width_of
from mbnet_jax.report import check_report, to_open, write_results
from mbnet_jax.runs.checkpoint_files import check_folder
from mbnet_jax.runs.checkpoints import BEST
from mbnet_jax.runs.header import aligned, header
from mbnet_jax.runs.hold import held
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.runs.tested import Tested, has_own_datasets, tests_of
from mbnet_jax.training import loop
from mbnet_jax.training.check import check_run


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

        A dataset that the run was not trained on is tested with the run's network,
        `views` and image size; the files are in `eval/<name>/` then, as they are of
        each dataset if the run was trained on several. With `eval.maps=predicted` no
        parsing map is read, and the files are in `eval/predicted-maps/`, or
        `eval/<name>-predicted-maps/`.

        Args:
          config: in place of the run's, to evaluate differently, or on another
            dataset: only its `data` and `eval` are read then.
          which: the checkpoint.

        Returns:
          protocol -> embedding -> measure ("rank1", "mAP", ...) -> value in 0..1. Of
          several datasets, a protocol is "dataset/protocol".

        Raises:
          FileNotFoundError: if there is no such checkpoint.
          ValueError: if a field does not fit the run, the data or the devices.
        """
        config = self.config if config is None else config
        check_config(config)
        config = with_variants(config)
        if not isinstance(config, ConfigDict) or has_own_datasets(self.config, config):
            check_run(config, self._mesh, training=False)
            for line in self.differences(config):
                print(f"config differs from the saved run's: {line}")
        else:
            height, width = self.config.data.height, self.config.data.width
            print(
                f"note: the network, views and image size ({height}x{width}) are those "
                f"of {self.origin}; only data and eval are of the config {config.name}"
            )
        if predicts_maps(config):
            parsing_function(config, self.make_model())  # refuses one without the head
        results: Results = {}
        for test in tests_of(self.config, config):
            before = f"{test.part}/" if test.part else ""
            for protocol, values in self._evaluate(test, which).items():
                results[before + protocol] = values
        return results

    def _evaluate(self, test: Tested, which: str | int) -> Results:
        """Evaluates a checkpoint on one dataset."""
        mesh, folder, notes = self._mesh, self.eval_of(test.name), []
        check_run(test.config, mesh, training=False)
        loads = self._dataset is None or not test.own
        if test.own:
            if loads:
                self._dataset = first_process_first(
                    lambda: load_dataset(test.config, training=False)
                )
                check_images(self, test.config, self._dataset)
            dataset = self._dataset
        else:
            dataset, config, notes = first_process_first(
                lambda: load_foreign(test.config)
            )
            test = dataclasses.replace(test, config=config)
        config = test.config
        for path in dict.fromkeys((self.eval, folder)):
            check_folder(path)
        check_writable(folder, "make room, or correct its permissions")
        network = self.load(mesh, which)._replace(config=config)
        protocols, more = usable_protocols(dataset.protocols, dataset.test)
        if not test.own:  # those figures are of networks trained for this dataset
            protocols = tuple(p._replace(paper=None) for p in protocols)
        check_report(config, protocols, dataset.test)
        if loads:  # after training, all but the step is known
            used = {p.query for p in protocols} | {p.gallery for p in protocols}
            splits = {name: s for name, s in dataset.test.items() if name in used}
            params = network.variables["params"]
            step = f"step {network.step:,} of {self.origin}"
            print(header(config, splits, params, mesh, checkpoint=step))

        embed = make_embed(config, network.model, mesh)
        embedded = embed_test(config, network, dataset, protocols, mesh, embed)
        with status("ranking the gallery"):
            outcomes = evaluate_protocols(config, embedded, protocols)
        verified, why = told_apart(
            test, network, embed, dataset, protocols, embedded, self, mesh
        )
        more = [*more, *why]
        results = {name: outcome.values for name, outcome in outcomes.items()}
        if predicts_maps(config):
            notes = [*notes, "parsing maps: predicted by the network, none were read"]
        notes = [*notes, *more, *paper_notes(protocols)]
        print(f"\n{test.headline(network.step)}, test split, per cent\n")
        look = {"width": width_of(sys.stdout), "bold": shows_bold(sys.stdout)}
        print(format_table(results, protocols, **look))
        if verified:
            print(f"\n{pairs_text(verified)}")
        for number, note in enumerate(notes):
            print(f"{'' if number else chr(10)}note: {note}")

        if not jax.process_index():  # all have the results; one writes them
            write_results(
                self, test, network, protocols, outcomes, embedded, notes, verified
            )
            print(f"\n{aligned(to_open(self, test))}")
        return results


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
    config = with_variants(config)
    workdir = run_folder(config, workdir)
    with held(workdir):
        dataset = first_process_first(lambda: load_dataset(config))
        # Before hours of training rather than after.
        parts = [*dataset.parts.values()] or [dataset]
        for (name, own), part in zip(configs_of(config).items(), parts, strict=True):
            protocols, notes = usable_protocols(part.protocols, part.test)
            check_report(own, protocols, part.test)
            for note in notes:
                print(f"note: {f'{name}: ' * (len(parts) > 1)}{note}")
        loop.train(config, dataset, workdir, mesh, loss=loss)
    return Run(workdir, mesh, dataset=dataset)
