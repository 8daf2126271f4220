"""Writes what an evaluation leaves in a run's folder: values, lists, a report."""

import importlib.util
import shlex
from collections.abc import Iterator, Mapping, Sequence

from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.protocols import Protocol, drawn_protocol
from mbnet_jax.evaluation.results import (
    ProtocolResult,
    metrics_content,
    queries_csv,
)
from mbnet_jax.evaluation.verification import Verified, content_of
from mbnet_jax.files import write_whole
from mbnet_jax.json_files import write_json
from mbnet_jax.locks import locked
from mbnet_jax.progress import status
from mbnet_jax.report.lists import draw_lists
from mbnet_jax.report.nearest import NEAREST_FILE, folder_of_images, nearest_csv
from mbnet_jax.report.write import write_report
from mbnet_jax.runs.events import write_test
from mbnet_jax.runs.metrics_file import METRICS
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.runs.tested import Tested

_LISTS, _QUERIES, REPORT = "ranked_lists.png", "queries.csv", "report.html"


def write_results(
    run: RunFolder,
    test: Tested,
    network: Network,
    protocols: Sequence[Protocol],
    outcomes: Mapping[str, ProtocolResult],
    embedded: Mapping[str, Embedded],
    notes: Sequence[str],
    verified: Mapping[str, Verified] | None = None,
) -> None:
    """Writes the files of an evaluation into `eval_of(test.name)`, and to TensorBoard.

    Args:
      run: the run.
      test: what was tested.
      network: the evaluated network, with the config of the test.
      protocols: the evaluated protocols, in the order of the table.
      outcomes: protocol name -> its result.
      embedded: split name -> its images and embeddings.
      notes: that were printed below the table.
      verified: protocol name -> its results on pairs, if they were asked for.
    """
    config, folder = network.config, run.eval_of(test.name)
    entries = test.entries | run.entries | folder_of_images(embedded)
    if verified:
        entries |= {"verification": content_of(verified)}
    content = metrics_content(
        config.name, network.step, protocols, outcomes, notes, entries
    )
    with locked(folder):  # another evaluation's files are not mixed with these
        write_json(folder / METRICS, content)
        write_whole(folder / _QUERIES, queries_csv(outcomes))
        lists = folder / _LISTS if config.eval.figure_queries else None
        if lists is not None:
            draw_lists(config, test.title, drawn_protocol(protocols), embedded, lists)
        if config.eval.report:
            lists_of_all = nearest_csv(protocols, embedded, config.eval.draw_seed)
            write_whole(folder / NEAREST_FILE, lists_of_all)
            with status("writing the report"):
                page = write_report(
                    run, test, network, protocols, outcomes, embedded, notes, verified
                )
                write_whole(folder / REPORT, page)
        values = {name: outcome.values for name, outcome in outcomes.items()}
        tag = f"test_{test.name}" if test.name else "test"
        write_test(run.path, network.step, values, lists, tag)


def to_open(run: RunFolder, test: Tested) -> Iterator[tuple[str, str]]:
    """What shows the results of an evaluation, the best first."""
    own = test.config.eval
    files = [REPORT] * own.report + [_LISTS] * (own.figure_queries > 0) + [METRICS]
    for title, file in zip(["to open"] + [""] * 2, files, strict=False):
        yield title, str(run.eval_of(test.name) / file)
    if importlib.util.find_spec("tensorboard"):
        yield "curves", f"tensorboard --logdir {shlex.quote(str(run.path))}"
