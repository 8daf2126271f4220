"""The measures as Markdown tables, with a row per group of runs and embedding."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.ablation.table import markdown_table, spread
from benchmarks.shortcuts.camera import NEAREST
from benchmarks.shortcuts.measure import (
    ANOTHER,
    ANY,
    BACKGROUND,
    CAMERA,
    COSINES,
    NEIGHBOURS,
    OWN,
    UNCHANGED,
    Values,
)
from mbnet_jax.evaluation.table import title_of

_PER_CENT, _RATIO, _FINE = (100, 1), (1, 2), (1, 3)  # scale, digits
# Table -> title, headings that distinguish its rows beside the embedding, and columns:
# name -> heading, scale, digits.
LAYOUT = {
    NEIGHBOURS: (
        f"Camera: other people's images among the {NEAREST} nearest",
        ["images"],
        {
            "nearest": (f"own camera's share in the {NEAREST} nearest", *_PER_CENT),
            "all": ("in all", *_PER_CENT),
            "ratio": ("ratio", *_RATIO),
            "auc": ("AUC", *_FINE),
        },
    ),
    CAMERA: (
        "Camera: mAP",
        ["rule"],
        {
            UNCHANGED: ("unchanged", *_PER_CENT),
            "centred": ("minus each camera's mean", *_PER_CENT),
            "other cameras": ("other cameras only", *_PER_CENT),
            "control": ("as many removed at random", *_PER_CENT),
            "difference": ("difference of these two", *_PER_CENT),
        },
    ),
    COSINES: (
        "Background: mean cosine",
        [],
        {
            OWN: ("image on its own camera's background", *_FINE),
            ANOTHER: ("on another camera's", *_FINE),
            "changed": ("same person, other clothes, other camera", *_FINE),
            "other_same_camera": ("other person, same camera", *_FINE),
            "other_other_camera": ("other person, other camera", *_FINE),
        },
    ),
    BACKGROUND: (
        "Background: mAP",
        ["rule"],
        {
            UNCHANGED: ("unchanged", *_PER_CENT),
            OWN: ("own camera's background", *_PER_CENT),
            ANOTHER: ("another camera's", *_PER_CENT),
            ANY: ("any camera's", *_PER_CENT),
            "difference": ("any minus own", *_PER_CENT),
        },
    ),
}


class Group(NamedTuple):
    """Runs whose configs differ only in the seed: their title and their values."""

    title: str
    runs: list[Values]


def markdown(groups: Sequence[Group]) -> str:
    """Returns the tables; cells are mean ± sample std over the runs of a group."""
    return "\n\n".join(_table(name, groups) for name in LAYOUT)


def _table(name: str, groups: Sequence[Group]) -> str:
    title, more, columns = LAYOUT[name]
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
    headings = [heading for heading, _, _ in columns.values()]
    head = ["run", "seeds", "embedding", *more, *headings]
    return f"{title}:\n\n{markdown_table(head, body)}"


def _cell(values: Sequence[float], scale: float, digits: int) -> str:
    """Formats the values of all runs; "-" if a value is undefined."""
    return "-" if np.isnan(values).any() else spread(values, scale, digits)
