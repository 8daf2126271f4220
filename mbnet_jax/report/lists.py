"""Ranked lists: a query's nearest images, with their names and labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.data.loader import load_example
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import Embedded, main_embedding
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import query_and_galleries
from mbnet_jax.report.ranked_lists import RankedItem, draw_ranked_lists
from mbnet_jax.retrieval import ranked_lists

NEAREST = 10  # gallery images per list
LONGEST = 60  # characters of a label


class Near(NamedTuple):
    """One image of a list: its index in the gallery, and whether it is a true match."""

    index: int
    similarity: float
    correct: bool


def nearest_images(
    query: Embedded, gallery: Embedded, name: str, rule: str
) -> list[list[Near]]:
    """Returns each query's nearest images that the rule keeps, nearest first."""
    lists = ranked_lists(
        query.embeddings[name],
        query.split.labels,
        gallery.embeddings[name],
        gallery.split.labels,
        rule=rule,
        k=min(NEAREST, len(gallery.split)),
        # Only one process draws, so only its own devices can be used.
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
    """Returns the file names, with as many folders as they need to be unique."""
    parts = [Path(name).parts for name in split.names]
    deepest = max(map(len, parts))
    for depth in range(1, deepest):
        names = ["/".join(path[-depth:]) for path in parts]
        if len({*names}) == len(names):
            return names
    return ["/".join(path) for path in parts]


def labels_of(split: Split, index: int) -> dict[str, str]:
    """Returns person, camera and clothes of image `index` as the dataset writes them.

    Each has at most about `LONGEST` characters.
    """
    shown = split.shown(index)._asdict()
    return {label: _short(text) for label, text in shown.items()}


def _short(text: str) -> str:
    half = LONGEST // 2
    if len(text) <= LONGEST:
        return text
    return f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"


def item_of(
    config: ConfigDict,
    split: Split,
    names: Sequence[str],
    index: int,
    similarity: float | None = None,
    correct: bool | None = None,
) -> RankedItem:
    """Loads image `index` of a split for drawing; `names` are the names to print."""
    labels = labels_of(split, index)
    return RankedItem(
        image=load_example(split, index, config.data)["image"],
        name=names[index],
        person=labels["person"],
        camera=labels["camera"],
        similarity=similarity,
        correct=correct,
    )


def draw_lists(
    config: ConfigDict,
    title: str,
    protocol: Protocol,
    embedded: Mapping[str, Embedded],
    path: Path,
) -> None:
    """Writes a PNG with the ranked lists of `eval.figure_queries` queries to `path`.

    `title` says whose they are.
    """
    query, (gallery, *_) = query_and_galleries(
        embedded, protocol, config.eval.draw_seed
    )
    name = main_embedding(query.embeddings)
    count = min(config.eval.figure_queries, len(query.split))
    # Spread over all queries: neighbours are often the same person.
    chosen = np.linspace(0, len(query.split) - 1, count).round().astype(int)
    shown = query.subset(chosen)
    query_names, gallery_names = short_names(shown.split), short_names(gallery.split)
    rows = [
        (
            item_of(config, shown.split, query_names, row),
            [item_of(config, gallery.split, gallery_names, *near) for near in nearest],
        )
        for row, nearest in enumerate(
            nearest_images(shown, gallery, name, protocol.rule)
        )
    ]
    title = f"{title}: embedding {name}, {protocol.title}"
    if gallery.split.frames:
        title += ", tracklets by their middle images"
    draw_ranked_lists(path, rows, title=title)
