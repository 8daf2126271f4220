"""Tests a checkpoint: table, `metrics.json`, `queries.csv`, pictures, a report."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.devices.mesh import check_divisible
from mbnet_jax.evaluation.embed import embed_split, make_embed
from mbnet_jax.evaluation.measure import Embedded, Judged, Results, judge
from mbnet_jax.evaluation.protocols import (
    Protocol,
    drawn_protocol,
    usable_protocols,
)
from mbnet_jax.evaluation.table import PAPER, format_table
from mbnet_jax.files import check_writable, write_whole
from mbnet_jax.report import check_report, draw_lists, write_report
from mbnet_jax.runs.load import Trained, load_trained
from mbnet_jax.runs.run_folder import load_num_classes


def evaluate_run(
    config: ConfigDict, dataset: Dataset, workdir: Path, mesh: Mesh, which: str | int
) -> Results:
    """Tests checkpoint `which` ("best" or a step) of the run in `workdir`.

    Prints the table, and writes `eval/metrics.json`, `eval/queries.csv`,
    `eval/ranked_lists.png` and `eval/report.html`.

    Raises:
      FileNotFoundError: if there is no such run or checkpoint.
      ValueError: if `eval.report_queries` names what is no query.
    """
    check_divisible("eval.batch_size", config.eval.batch_size, mesh)
    folder = workdir / "eval"
    load_num_classes(workdir)  # before a folder is made: there may be no run
    check_writable(folder, "make room, or correct its permissions")
    trained = load_trained(workdir, mesh, which, config)

    protocols, notes = usable_protocols(dataset.protocols, dataset.test)
    check_report(config, protocols, dataset.test)
    embedded = embed_test(config, trained, dataset, protocols, mesh)
    judged = {
        p.name: judge(
            embedded,
            p,
            config.eval.ranks,
            config.eval.draw_seed,
            config.eval.rerank,
        )
        for p in protocols
    }
    results = {name: outcome.values for name, outcome in judged.items()}
    if any(p.paper for p in protocols):
        notes = [
            *notes,
            f"{PAPER}: as printed there; which of these protocols it used is inferred",
        ]
    step = trained.step
    print(f"\n{config.name}, step {step}, test split, per cent\n")
    print(format_table(results, protocols))
    for number, note in enumerate(notes):
        print(f"{'' if number else chr(10)}note: {note}")

    if jax.process_index():  # all have the results; one writes them
        return results
    content = {
        "name": config.name,
        "step": step,
        "results": results,
        "protocols": {p.name: _described(p, judged[p.name]) for p in protocols},
        "notes": notes,
    }
    write_whole(folder / "metrics.json", json.dumps(content, indent=2) + "\n")
    write_whole(folder / "queries.csv", _queries_csv(judged))
    if config.eval.figure_queries:
        draw_lists(
            config, drawn_protocol(protocols), embedded, folder / "ranked_lists.png"
        )
    if config.eval.report:
        write_report(config, trained, workdir, protocols, judged, embedded, notes)
    print(f"\nwrote {folder}")
    return results


def embed_test(
    config: ConfigDict,
    trained: Trained,
    dataset: Dataset,
    protocols: Sequence[Protocol],
    mesh: Mesh,
) -> dict[str, Embedded]:
    """Embeds the test splits that the protocols need: name -> images, embeddings.

    Raises:
      ValueError: if `eval.branches` names a branch that the network does not have, or
        an image cannot be used.
    """
    embed = make_embed(config, trained.model, mesh)
    loader = Loader(config.data, mesh)
    return {
        name: Embedded(
            dataset.test[name],
            embed_split(
                embed,
                trained.variables,
                dataset.test[name],
                loader,
                config.eval.batch_size,
            ),
        )
        for name in sorted({s for p in protocols for s in (p.query, p.gallery)})
    }


def _described(protocol: Protocol, judged: Judged) -> dict:
    """A protocol for `metrics.json`, cameras counted from 0."""
    paper = protocol.paper and dict(zip(("rank1", "mAP"), protocol.paper, strict=True))
    return protocol._asdict() | {
        "paper": paper,
        "queries": len(judged.query),
        "queries_with_a_match": judged.per_draw[0].num_queries,
    }


def _queries_csv(judged: dict[str, Judged]) -> str:
    """Each query of each protocol and draw; empty where it has no true match."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["protocol", "draw", "file", "person", "first_match_rank", "average_precision"]
    )
    for name, outcome in judged.items():
        for draw, metrics in enumerate(outcome.per_draw):
            for file, person, first, precision in zip(
                outcome.query.names,
                outcome.query.pid,
                metrics.first_match_rank,
                metrics.average_precision,
                strict=True,
            ):
                score = (first, f"{precision:.6f}") if first else ("", "")
                writer.writerow([name, draw, file, person, *score])
    return text.getvalue()
