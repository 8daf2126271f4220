"""A map of embeddings: test images on principal axes, with pictures and labels."""

import colorsys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from mbnet_jax.data import Split
from mbnet_jax.data.loader import load_example
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.evaluation.embed import Embedded, main_embedding
from mbnet_jax.evaluation.protocols import Protocol, drawn_protocol
from mbnet_jax.evaluation.results import query_and_galleries
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.report.curves import COLOURS
from mbnet_jax.report.embedding_axes import (
    AXES,
    HEIGHT,
    WIDTH,
    nearest_agree,
    positions,
    principal_axes,
    whole_persons,
)
from mbnet_jax.report.lists import labels_of
from mbnet_jax.report.page import picture

_BUDGET = 900_000  # characters of all pictures
_HEIGHTS = (96, 80, 64, 48, 32)  # pixels of a picture, tried in turn
_COLUMNS = 25  # pictures side by side
_GOLDEN = 0.618034  # of the circle of hues, between neighbouring groups


class Marked(NamedTuple):
    """The images of a map.

    Attributes:
      split: of each side that has some, in the order of the marks.
      embeddings: kind -> float32 [n, d], of unit length.
      is_query: bool [n].
    """

    splits: tuple[Split, ...]
    embeddings: dict[str, np.ndarray]
    is_query: np.ndarray

    def column(self, field: str) -> np.ndarray:
        """A label, "pid", "camera" or "clothes", of each image, int [n]."""
        return np.concatenate([getattr(split, field) for split in self.splits])


def embedding_map(
    config: ConfigDict,
    protocols: Sequence[Protocol],
    embedded: Mapping[str, Embedded],
) -> dict | None:
    """Returns what `embedding_map.html` shows; None if `eval.report_points` is 0.

    The images are those of whole persons, drawn at random until the next would exceed
    `eval.report_points`, under the protocol of the pictures.
    """
    most, seed = config.eval.get("report_points", 400), config.eval.draw_seed
    if not most:
        return None
    protocol = drawn_protocol(protocols)
    query, (gallery, *_) = query_and_galleries(embedded, protocol, seed)
    marked = _sample(query, gallery, most, seed)
    axes = {name: principal_axes(rows) for name, rows in marked.embeddings.items()}
    places = [positions(coordinates) for coordinates, _ in axes.values()]
    at = np.concatenate(places, axis=1)
    labels = [labels_of(s, row) for s in marked.splits for row in range(len(s))]
    groups = {
        field: _group(field, marked, labels)
        for field in ("pid", "camera", "clothes")
        if (marked.column(field) != UNKNOWN).any()
    }
    files = [name for split in marked.splits for name in split.names]
    start = 2 * (AXES // 2) * (len(axes) - 1)  # the main embedding is the last
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "unit": query.split.unit,
        "persons": len(np.unique(marked.column("pid"))),
        "of_persons": len({*query.split.pid.tolist(), *gallery.split.pid.tolist()}),
        "groups": [group for group, _ in groups.values()],
        "embeddings": [title_of(name) for name in axes],
        "main": title_of(main_embedding(query.embeddings)),
        "axes": [f"{k + 1} and {k + 2}" for k in range(0, AXES, 2)],
        "points": [
            {
                "file": files[row],
                "labels": labels[row],
                "query": bool(marked.is_query[row]),
                "groups": [int(of[row]) for _, of in groups.values()],
                "at": at[row].tolist(),
                "x": int(at[row, start]),
                "y": int(at[row, start + 1]),
                "fill": groups["pid"][0]["members"][groups["pid"][1][row]]["fill"],
            }
            for row in range(len(files))
        ],
        "kinds": sorted({*marked.is_query.tolist()}, reverse=True),
        "rows": _table(marked, axes, [*groups]),
        "sprite": _sprite(config, marked.splits),
    }


def _sample(query: Embedded, gallery: Embedded, most: int, seed: int) -> Marked:
    """Draws persons with all their images, at most `most`; an image is taken once."""
    known = {*query.split.names}
    new = [row for row, name in enumerate(gallery.split.names) if name not in known]
    sides = query, gallery.subset(np.array(new, int))
    pid = np.concatenate([side.split.pid for side in sides])
    kept = whole_persons(pid, most, seed)
    first = len(query.split)
    parts = (kept[kept < first], kept[kept >= first] - first)
    chosen = [side.subset(part) for side, part in zip(sides, parts, strict=True)]
    rows = {
        name: np.concatenate([side.embeddings[name] for side in chosen])
        for name in query.embeddings
    }
    return Marked(
        tuple(side.split for side in chosen),
        {k: v / np.linalg.norm(v, axis=1, keepdims=True) for k, v in rows.items()},
        kept < first,
    )


def _group(
    field: str, marked: Marked, labels: Sequence[Mapping[str, str]]
) -> tuple[dict, np.ndarray]:
    """The groups of a label, for the legend, and the group of each image, int [n]."""
    values = marked.column(field)
    # Outfits of one person are neighbours, and so differ in colour.
    keys = np.stack([marked.column("pid"), values], 1) if field == "clothes" else values
    _, first, of = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    label = {"pid": "person"}.get(field, field)

    def name(row: int) -> str:
        own = labels[row][label]
        return f"{labels[row]['person']}: {own}" if field == "clothes" else own

    return {
        "by": label,
        "members": [
            {"name": name(row), "fill": fill, "person": labels[row]["person"]}
            for row, fill in zip(first, _colours(len(first)), strict=True)
        ],
    }, of.reshape(-1)


def _colours(count: int) -> list[str]:
    """Colours that are visible on white and on black; neighbours differ most."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    colours = []
    for number in range(count):
        light = 0.42 if number % 2 else 0.58
        rgb = colorsys.hls_to_rgb(number * _GOLDEN % 1, light, 0.7)
        colours.append("#" + "".join(f"{round(255 * part):02x}" for part in rgb))
    return colours


def _table(marked: Marked, axes: Mapping, fields: Sequence[str]) -> list[dict]:
    """A row per embedding: variance of the axes, and whom the nearest image shows."""
    rows, chance = [], []
    for name, embeddings in marked.embeddings.items():
        found = [nearest_agree(embeddings, marked.column(field)) for field in fields]
        chance = [by_chance for _, by_chance in found]
        shares = axes[name][1].reshape(-1, 2).sum(1).tolist()
        values = [*shares, *(nearest for nearest, _ in found)]
        rows.append({"title": title_of(name), "cells": [*map(_per_cent, values)]})
    blank = [""] * (AXES // 2)
    return [*rows, {"title": "chance", "cells": [*blank, *map(_per_cent, chance)]}]


def _per_cent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"


def _sprite(config: ConfigDict, splits: Sequence[Split]) -> dict:
    """All pictures in one: its `uri`, the size of a picture and how many are a row."""
    data = config.data
    images = [
        Image.fromarray(load_example(split, row, data, reads_maps=False)["image"])
        for split in splits
        for row in range(len(split))
    ]
    columns = min(_COLUMNS, len(images))
    for height in _HEIGHTS:
        height = min(height, data.height)
        width = max(round(data.width * height / data.height), 1)
        sheet = Image.new("RGB", (columns * width, -(-len(images) // columns) * height))
        for number, image in enumerate(images):
            row, column = divmod(number, columns)
            small = image.resize((width, height), Image.Resampling.LANCZOS)
            sheet.paste(small, (column * width, row * height))
        uri = picture(sheet, sheet.height, quality=70)
        if len(uri) <= _BUDGET:
            break
    return {
        "uri": uri,
        "width": width,
        "height": height,
        "columns": columns,
        "rows": sheet.height // height,
    }
