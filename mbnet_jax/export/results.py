"""The results in the card of an export: a table for each evaluation of the run."""

import os
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from mbnet_jax.data import Protocol
from mbnet_jax.evaluation.table import format_table
from mbnet_jax.evaluation.verification_table import described
from mbnet_jax.runs.metrics_file import METRICS, read_metrics
from mbnet_jax.runs.results_folder import ResultsFolder
from mbnet_jax.runs.tested import trained_titles

_WIDTH = 160  # characters: all rules of most datasets side by side


class Table(NamedTuple):
    """Results on one dataset: what they are of, in Markdown, and the table."""

    heading: str
    text: str


def results_of(run: Path, config: ConfigDict, step: int) -> list[Table]:
    """The tables of a run's last evaluations, of the exported checkpoint alone.

    The datasets that it was trained on are the first, and results with given parsing
    maps come before those with predicted ones.

    Args:
      run: its folder; there may be no evaluations in it.
      config: the run's, which says what it was trained on.
      step: of training, of the exported checkpoint.

    Raises:
      ValueError: if one of the `metrics.json` is damaged.
    """
    own = ResultsFolder(run).eval
    trained = trained_titles(config)
    found = {}
    for path in (own / METRICS, *sorted(own.glob(f"*/{METRICS}"))):
        if not os.path.lexists(path):
            continue
        metrics = read_metrics(path)
        if metrics["step"] != step:
            continue
        dataset = metrics.get("dataset") or " + ".join(trained)
        foreign = dataset not in (*trained, " + ".join(trained))
        predicted = metrics.get("maps") == "predicted"
        found[foreign, dataset, predicted] = _tabulated(metrics)
    return [Table(_heading(*key), table) for key, table in sorted(found.items())]


def _heading(foreign: bool, dataset: str, predicted: bool) -> str:
    name = f"`{dataset.replace('`', chr(39))}`"
    title = f"On {name}" if foreign else f"On the test split of {name}"
    title += ", which it was not trained on" * foreign
    return title + ", with parsing maps that the network predicts" * predicted + ":"


def _tabulated(metrics: dict) -> str:
    protocols = [_protocol(entry) for entry in metrics["protocols"].values()]
    text = format_table(metrics["results"], protocols, width=_WIDTH)
    pairs = metrics.get("verification")
    return f"{text}\n\n{described(pairs)}" if pairs else text


def _protocol(entry: dict) -> Protocol:
    fields = {name: entry[name] for name in Protocol._fields}
    paper = fields["paper"] or None
    return Protocol(**fields | {"paper": paper and (paper["rank1"], paper["mAP"])})
