"""The page that compares two tested runs: tables, the paired test, changed lists."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.config import flat
from mbnet_jax.evaluation.matrix import protocol_of
from mbnet_jax.evaluation.paired import Difference, Scores, read_queries
from mbnet_jax.files import printable
from mbnet_jax.report.changed import Person, changed_persons, changed_queries
from mbnet_jax.report.comparison_pictures import Pictures
from mbnet_jax.report.comparison_tables import (
    Pair,
    interval,
    plain,
    signed,
    test_table,
    title,
    values_table,
)
from mbnet_jax.report.nearest import NEAREST_FILE, Listed, read_nearest
from mbnet_jax.report.page import render
from mbnet_jax.runs.config_file import FILE, config_of, read_config_file
from mbnet_jax.runs.metrics_file import METRICS, read_metrics

MARK = b'<meta name="generator" content="mbnet-compare">'
_PERSONS, _QUERIES = 8, 5  # that gained, and that lost
_DRAW = "0"  # whose lists `nearest.csv` has


class Side(NamedTuple):
    """One of the two runs: its folder, and that of the test's files."""

    run: Path
    folder: Path
    content: dict

    @classmethod
    def read(cls, run: Path, folder: Path) -> "Side":
        """Reads the test's `metrics.json`.

        Raises:
          FileNotFoundError, ValueError: if it is missing or damaged.
        """
        return cls(run, folder, read_metrics(folder / METRICS))


def comparison_page(
    sides: tuple[Side, Side],
    pairs: Mapping[str, Pair],
    resampled: str,
    images: Path | None = None,
) -> str:
    """Returns the page, which needs no other file.

    Args:
      sides: the two runs.
      pairs: protocol -> the compared queries.
      resampled: how the intervals were computed, in words.
      images: the folder of the tested images, unless it is the one of the test.

    Raises:
      ValueError: a file of the runs is damaged; the message names it.
    """
    contents = [side.content for side in sides]
    main = protocol_of(contents[0])
    if main not in pairs:
        raise ValueError(
            f"{sides[0].folder / METRICS} is of other protocols than its queries.csv; "
            "evaluate the run again"
        )
    scores = pairs[main].scores
    pictures = Pictures(images or _folder(sides))
    gained, lost = changed_queries(*scores, _QUERIES)
    cards, missing = _cards(sides, main, scores, [*gained, *lost], pictures)
    persons = changed_persons(*scores, _PERSONS)
    return render(
        "compare.html",
        title=f"{printable(sides[0].run)} and {printable(sides[1].run)}",
        headline=_headline(main, pairs[main].found["mAP"]),
        sides=[_described(side) for side in sides],
        resampled=resampled,
        tests=[test_table(name, pair) for name, pair in pairs.items()],
        tables=[
            values_table(name, contents)
            for name in pairs
            if all(name in content["results"] for content in contents)
        ],
        differences=_differences(sides),
        main=title(main),
        persons=[
            (kind, [_person(person) for person in found])
            for kind, found in zip(("gained", "lost"), persons, strict=True)
        ],
        cards=cards,
        missing=missing,
        without_pictures=pictures.missing,
        images=pictures.images.encoded(),
    )


def _folder(sides: Sequence[Side]) -> Path | None:
    """The folder of the tested images, if it is known and still there."""
    known = (side.content.get("images") for side in sides)
    folders = (Path(folder) for folder in known if folder)
    return next((folder for folder in folders if folder.is_dir()), None)


def _headline(protocol: str, of: Difference) -> str:
    """The main figure, and whether other people might have reversed it."""
    low, high = of.persons
    if math.isnan(low):
        verdict = "one person is too few to tell by chance or not"
    elif low > 0 or high < 0:
        verdict = (
            f"the second is {'better' if low > 0 else 'worse'} (95 % interval over "
            f"persons {interval(of.persons)})"
        )
    else:
        verdict = (
            "with other persons the order might be reversed (95 % interval "
            f"{interval(of.persons)})"
        )
    return (
        f"{title(protocol)} mAP {plain(of.first)} and {plain(of.second)}, "
        f"{signed(of.value)}: {verdict}"
    )


def _described(side: Side) -> list[tuple[str, str]]:
    """What is known of a run."""
    content = side.content
    return [
        ("Folder", printable(side.folder)),
        ("Config", f"{content.get('name', '-')}, step {content['step']}"),
        ("Trained on", content.get("trained_on", "-")),
        ("Tested on", content.get("dataset", "-")),
    ]


def _differences(sides: Sequence[Side]) -> list[tuple[str, str, str]]:
    """Config fields that differ; [] where a run's config is not there."""
    if not all(os.path.lexists(side.run / FILE) for side in sides):
        return []
    first, second = (flat(config_of(read_config_file(side.run))) for side in sides)
    return [
        (name, *(repr(of[name]) if name in of else "-" for of in (first, second)))
        for name in dict.fromkeys((*first, *second))
        if first.get(name) != second.get(name)
    ]


def _person(person: Person) -> dict:
    change = person.second - person.first
    cells = (plain(person.first), plain(person.second), signed(change))
    return {"name": person.name, "queries": person.queries, "cells": cells}


def _cards(
    sides: Sequence[Side],
    protocol: str,
    scores: tuple[Scores, Scores],
    rows: Sequence[int],
    pictures: Pictures,
) -> tuple[list[dict], list[str]]:
    """The queries of these rows with both lists; the folders without lists."""
    files = {scores[0].file[row] for row in rows}
    lists, missing = [], []
    for side in sides:
        path = side.folder / NEAREST_FILE
        if path.exists():
            lists.append(read_nearest(path, protocol, files))
        else:
            lists.append({})
            missing.append(printable(side.folder))
    tables = [read_queries(side.folder / "queries.csv") for side in sides]
    cards = []
    for row in rows:
        file, person = scores[0].file[row], scores[0].person[row]
        values = [float(of.values[row, 0]) for of in scores]
        cards.append(
            {
                "file": file,
                "person": person,
                "image": pictures.number(file),
                "change": signed(values[1] - values[0]),
                "lists": [
                    {
                        "run": printable(side.run),
                        "precision": plain(value),
                        "rank": table[protocol, _DRAW, file, person][0],
                        "items": [_item(of, pictures) for of in found.get(file, [])],
                    }
                    for side, value, table, found in zip(
                        sides, values, tables, lists, strict=True
                    )
                ],
            }
        )
    return cards, missing


def _item(of: Listed, pictures: Pictures) -> dict:
    return {
        "file": of.file,
        "person": of.person,
        "similarity": f"{of.similarity:.3f}",
        "match": of.match,
        "image": pictures.number(of.file),
    }
