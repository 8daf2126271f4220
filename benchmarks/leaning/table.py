"""The measures in Markdown: a table each, a row for each group and embedding."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.ablation.table import markdown_table, spread
from benchmarks.leaning.camera import NEAREST
from benchmarks.leaning.measure import (
    BACKGROUND,
    CAMERA,
    COSINES,
    NEIGHBOURS,
    TABLES,
    Values,
)
from mbnet_jax.evaluation.table import title_of

# Table -> its title, and its columns: name -> heading, scale, digits.
_PER_CENT, _COSINE = (100, 1), (1, 3)
COLUMNS = {
    NEIGHBOURS: (
        f"Camera: other people's images among the {NEAREST} nearest",
        {
            "nearest": (f"own camera's share in the {NEAREST} nearest", *_PER_CENT),
            "all": ("in all", *_PER_CENT),
            "ratio": ("ratio", 1, 2),
            "auc": ("AUC", 1, 3),
        },
    ),
    CAMERA: (
        "Camera: mAP",
        {
            "as_it_is": ("as it is", *_PER_CENT),
            "centred": ("less each camera's mean", *_PER_CENT),
            "other_cameras": ("other cameras only", *_PER_CENT),
            "control": ("as many removed at random", *_PER_CENT),
            "gain": ("difference of these two", *_PER_CENT),
        },
    ),
    COSINES: (
        "Background: mean cosine",
        {
            "own": ("image on its own camera's background", *_COSINE),
            "another": ("on another camera's", *_COSINE),
            "changed": ("same person, other clothes, other camera", *_COSINE),
            "other_same_camera": ("other person, same camera", *_COSINE),
            "other_other_camera": ("other person, other camera", *_COSINE),
        },
    ),
    BACKGROUND: (
        "Background: mAP",
        {
            "as_it_is": ("as it is", *_PER_CENT),
            "own": ("own camera's background", *_PER_CENT),
            "another": ("another camera's", *_PER_CENT),
            "any": ("any camera's", *_PER_CENT),
            "gain": ("any less own", *_PER_CENT),
        },
    ),
}


class Group(NamedTuple):
    """Runs of one config but for the seed: what they are called, their values."""

    title: str
    runs: list[Values]


def markdown(groups: Sequence[Group]) -> str:
    """The tables, per cent, mean ± sample deviation over the runs of a group."""
    return "\n\n".join(_table(name, groups) for name in TABLES)


def _table(name: str, groups: Sequence[Group]) -> str:
    title, columns = COLUMNS[name]
    body = [
        [
            group.title,
            str(len(group.runs)),
            title_of(row[0]),
            *row[1:],
            *(
                _cell([run[name][row][column] for run in group.runs], scale, digits)
                for column, (_, scale, digits) in columns.items()
            ),
        ]
        for group in groups
        for row in group.runs[0][name]
    ]
    keys = next(iter(groups[0].runs[0][name]))
    head = ["run", "seeds", "embedding", *(["rule"] if len(keys) > 1 else [])]
    heads = [heading for heading, _, _ in columns.values()]
    return f"{title}:\n\n{markdown_table([*head, *heads], body)}"


def _cell(values: Sequence[float], scale: float, digits: int) -> str:
    """Of all runs, "-" where there is nothing to measure."""
    return "-" if np.isnan(values).any() else spread(values, scale, digits)
