"""Ranked lists to look at: a query's nearest images, their names and labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.data.loader import load_example
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import main_embedding
from mbnet_jax.evaluation.measure import Embedded, sides
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.report.ranked_lists import RankedItem, draw_ranked_lists
from mbnet_jax.retrieval import ranked_lists

NEAREST = 10  # gallery images in a list


class Near(NamedTuple):
    """One image of a list: its place in the gallery, and the verdict."""

    index: int
    similarity: float
    correct: bool


def nearest_images(
    query: Embedded, gallery: Embedded, name: str, rule: str
) -> list[list[Near]]:
    """Of each query the nearest gallery images that the rule keeps, nearest first."""
    lists = ranked_lists(
        query.embeddings[name],
        query.split.labels,
        gallery.embeddings[name],
        gallery.split.labels,
        rule=rule,
        k=min(NEAREST, len(gallery.split)),
        # Only one process draws: the others' devices would not answer.
        mesh=make_mesh(jax.local_devices()),
    )
    return [
        [
            Near(int(index), float(similarity), bool(correct))
            for index, similarity, correct in zip(*row, strict=True)
            if index >= 0
        ]
        for row in zip(*lists, strict=True)
    ]


def short_names(split: Split) -> list[str]:
    """The files' names, with their folders' where names alone are not unique."""
    paths = [Path(name) for name in split.names]
    if len({path.name for path in paths}) == len(paths):
        return [path.name for path in paths]
    return ["/".join(path.parts[-2:]) for path in paths]


def camera_of(split: Split, index: int) -> str:
    """The camera's number as datasets count, from 1."""
    camera = split.camera[index]
    return "unknown" if camera == UNKNOWN else str(camera + 1)


def clothes_of(split: Split, index: int) -> str:
    """The outfit's number; no two persons share one."""
    clothes = split.clothes[index]
    return "unknown" if clothes == UNKNOWN else str(clothes)


def item_of(
    config: ConfigDict,
    split: Split,
    names: Sequence[str],
    index: int,
    similarity: float | None = None,
    correct: bool | None = None,
) -> RankedItem:
    """Image `index` of a split as it is drawn; `names` are those to print."""
    return RankedItem(
        image=load_example(split, index, config.data)["image"],
        name=names[index],
        camera=camera_of(split, index),
        similarity=similarity,
        correct=correct,
    )


def draw_lists(
    config: ConfigDict, protocol: Protocol, embedded: dict[str, Embedded], path: Path
) -> None:
    """Writes the picture of `eval.figure_queries` queries' lists."""
    query, (gallery, *_) = sides(embedded, protocol, config.eval.draw_seed)
    name = main_embedding(query.embeddings)
    count = min(config.eval.figure_queries, len(query.split))
    # Spread over the queries: neighbours are often of one person.
    chosen = np.linspace(0, len(query.split) - 1, count).round().astype(int)
    shown = query.subset(chosen)
    query_names, gallery_names = short_names(shown.split), short_names(gallery.split)
    rows = [
        (
            item_of(config, shown.split, query_names, row),
            [item_of(config, gallery.split, gallery_names, *near) for near in found],
        )
        for row, found in enumerate(nearest_images(shown, gallery, name, protocol.rule))
    ]
    title = f"{config.name}: embedding {name}, {protocol.title}"
    draw_ranked_lists(path, rows, title=title)
