"""Tests a checkpoint: table, `metrics.json`, `queries.csv`, ranked lists."""

import csv
import io
import json
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset, Split
from mbnet_jax.data.loader import Loader, load_example
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.evaluation.embed import embed_split, main_embedding, make_embed
from mbnet_jax.evaluation.measure import Embedded, Judged, Results, judge
from mbnet_jax.evaluation.protocols import (
    Protocol,
    drawn_protocol,
    places,
    usable_protocols,
)
from mbnet_jax.evaluation.table import PAPER, format_table
from mbnet_jax.figures import RankedItem, draw_ranked_lists
from mbnet_jax.files import check_writable, write_whole
from mbnet_jax.retrieval import ranked_lists
from mbnet_jax.sharding import check_divisible, make_mesh
from mbnet_jax.trained import load_trained
from mbnet_jax.training.run_config import load_num_classes

_NEAREST = 10  # gallery images in a ranked list


def evaluate_run(
    config: ConfigDict, dataset: Dataset, workdir: Path, mesh: Mesh, which: str | int
) -> Results:
    """Tests checkpoint `which` ("best" or a step) of the run in `workdir`.

    Prints the table, and writes `eval/metrics.json`, `eval/queries.csv` and
    `eval/ranked_lists.png`.

    Raises:
      FileNotFoundError: if there is no such run or checkpoint.
    """
    check_divisible("eval.batch_size", config.eval.batch_size, mesh)
    folder = workdir / "eval"
    load_num_classes(workdir)  # before a folder is made: there may be no run
    check_writable(folder, "make room, or correct its permissions")
    trained = load_trained(workdir, mesh, which, config)

    protocols, notes = usable_protocols(config.data.name, dataset.test)
    embed = make_embed(config, trained.model, mesh)
    loader = Loader(config.data, mesh)
    embedded = {
        split: Embedded(
            dataset.test[split],
            embed_split(
                embed,
                trained.variables,
                dataset.test[split],
                loader,
                config.eval.batch_size,
            ),
        )
        for split in sorted({s for p in protocols for s in (p.query, p.gallery)})
    }
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
        _draw(config, drawn_protocol(protocols), embedded, folder / "ranked_lists.png")
    print(f"\nwrote {folder}")
    return results


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


def _draw(
    config: ConfigDict, protocol: Protocol, embedded: dict[str, Embedded], path: Path
) -> None:
    query, gallery = (
        side.subset(places(protocol, side.split))
        for side in (embedded[protocol.query], embedded[protocol.gallery])
    )
    name = main_embedding(query.embeddings)
    count = min(config.eval.figure_queries, len(query.split))
    # Spread over the queries: neighbours are often of one person.
    chosen = np.linspace(0, len(query.split) - 1, count).round().astype(int)
    shown = query.subset(chosen)
    lists = ranked_lists(
        shown.embeddings[name],
        shown.split.labels,
        gallery.embeddings[name],
        gallery.split.labels,
        rule=protocol.rule,
        k=min(_NEAREST, len(gallery.split)),
        # Only one process draws: the others' devices would not answer.
        mesh=make_mesh(jax.local_devices()),
    )
    names = {id(side): _short_names(side) for side in (shown.split, gallery.split)}

    def item(split, index, similarity=None, correct=None) -> RankedItem:
        camera = split.camera[index]
        return RankedItem(
            image=load_example(split, index, config.data)["image"],
            name=names[id(split)][index],
            camera="unknown" if camera == UNKNOWN else str(camera + 1),
            similarity=similarity,
            correct=correct,
        )

    rows = [
        (
            item(shown.split, row),
            [
                item(gallery.split, int(index), float(similarity), bool(correct))
                for index, similarity, correct in zip(
                    lists.indices[row],
                    lists.similarities[row],
                    lists.correct[row],
                    strict=True,
                )
                if index >= 0
            ],
        )
        for row in range(count)
    ]
    title = protocol.name.replace("_", "-")
    draw_ranked_lists(path, rows, title=f"{config.name}: embedding {name}, {title}")


def _short_names(split: Split) -> list[str]:
    """The files' names, with their folders' where names alone are not unique."""
    paths = [Path(name) for name in split.names]
    if len({path.name for path in paths}) == len(paths):
        return [path.name for path in paths]
    return ["/".join(path.parts[-2:]) for path in paths]
