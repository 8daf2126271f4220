"""Tests a checkpoint on the test split: table, `metrics.json`, ranked lists."""

import json
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset
from mbnet_jax.data.loader import Loader, load_example
from mbnet_jax.evaluation.embed import embed_split, main_embedding, make_embed
from mbnet_jax.evaluation.measure import EmbeddedSplits, Results, format_table, measure
from mbnet_jax.evaluation.protocols import DRAWN, TEST
from mbnet_jax.figures import RankedItem, draw_ranked_lists
from mbnet_jax.files import write_whole
from mbnet_jax.retrieval import ranked_lists
from mbnet_jax.sharding import check_divisible
from mbnet_jax.training.checkpoints import Checkpoints
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.run_config import load_num_classes
from mbnet_jax.training.step import init_state, make_model

_NEAREST = 10  # gallery images in a ranked list


def evaluate_run(
    config: ConfigDict, dataset: Dataset, workdir: Path, mesh: Mesh, which: str | int
) -> Results:
    """Tests checkpoint `which` ("best" or a step) of the run in `workdir`.

    Prints the table, and writes `eval/metrics.json` and `eval/ranked_lists.png`.

    Raises:
      FileNotFoundError: if there is no such run or checkpoint.
    """
    check_divisible("eval.batch_size", config.eval.batch_size, mesh)
    model = make_model(config.model, load_num_classes(workdir))
    # The optimizer's state has one shape whatever the schedule.
    optimizer = make_optimizer(config.train, steps_per_epoch=1)
    abstract = jax.eval_shape(lambda: init_state(config, model, optimizer))
    checkpoints = Checkpoints(workdir, create=False)
    state, _ = checkpoints.restore(which, abstract, mesh)

    protocols = TEST[config.data.name]
    embed = make_embed(config, model, mesh)
    loader = Loader(config.data, mesh)
    splits = sorted({s for p in protocols for s in (p.query, p.gallery)})
    embedded = EmbeddedSplits(
        dataset,
        {
            split: embed_split(
                embed,
                state.variables,
                getattr(dataset, split),
                loader,
                config.eval.batch_size,
            )
            for split in splits
        },
    )
    results = {p.name: measure(embedded, p, config.eval.ranks) for p in protocols}
    step = int(state.step)
    print(f"\n{config.name}, step {step}, test split, per cent\n")
    print(format_table(results))

    folder = workdir / "eval"
    folder.mkdir(exist_ok=True)
    content = {"name": config.name, "step": step, "results": results}
    write_whole(folder / "metrics.json", json.dumps(content, indent=2) + "\n")
    if config.eval.figure_queries:
        _draw(config, embedded, folder / "ranked_lists.png")
    print(f"\nwrote {folder}")
    return results


def _draw(config: ConfigDict, embedded: EmbeddedSplits, path: Path) -> None:
    (protocol,) = (p for p in TEST[config.data.name] if p.name == DRAWN)
    query = getattr(embedded.dataset, protocol.query)
    gallery = getattr(embedded.dataset, protocol.gallery)
    name = main_embedding(embedded.embeddings[protocol.query])
    count = min(config.eval.figure_queries, len(query))
    # Spread over the queries: neighbours are often of one person.
    chosen = np.linspace(0, len(query) - 1, count).round().astype(int)
    shown = query.subset(chosen)
    lists = ranked_lists(
        embedded.embeddings[protocol.query][name][chosen],
        shown.labels,
        embedded.embeddings[protocol.gallery][name],
        gallery.labels,
        rule=protocol.rule,
        k=min(_NEAREST, len(gallery)),
    )

    def item(split, index, similarity=None, correct=None) -> RankedItem:
        return RankedItem(
            image=load_example(split, index, config.data)["image"],
            name=split.names[index],
            camera=str(split.camera[index] + 1),
            similarity=similarity,
            correct=correct,
        )

    rows = [
        (
            item(shown, row),
            [
                item(gallery, int(index), float(similarity), bool(correct))
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
    draw_ranked_lists(
        path, rows, title=f"{config.name}: embedding {name}, rule {protocol.name}"
    )
