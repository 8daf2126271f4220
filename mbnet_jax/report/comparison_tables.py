"""The tables of a comparison: the paired test, and all values of either run."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mbnet_jax.evaluation.paired import Difference, Scores
from mbnet_jax.evaluation.results import CHANCE, STD
from mbnet_jax.evaluation.table import heading_of, per_cent, title_of


class Pair(NamedTuple):
    """A protocol's scores by either network, and their differences by measure."""

    scores: tuple[Scores, Scores]
    found: Mapping[str, Difference]


def title(protocol: str) -> str:
    """A protocol's name as it is printed."""
    return protocol.replace("_", "-")


def signed(value: float) -> str:
    """A difference in per cent."""
    text = "-" if math.isnan(value) else f"{100 * value:+.1f}"
    return text[1:] if text in ("+0.0", "-0.0") else text


def plain(value: float) -> str:
    """A value in per cent."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def interval(bounds: tuple[float, float]) -> str:
    """Both ends in per cent."""
    return " to ".join(map(signed, bounds))


def test_table(name: str, pair: Pair) -> dict:
    """A protocol's rows of the paired test."""
    persons = pair.scores[0].person
    return {
        "title": title(name),
        "queries": len(persons),
        "persons": len({*persons}),
        "rows": [
            {
                "title": heading_of(measure),
                "cells": (
                    *(plain(of.first), plain(of.second), signed(of.value)),
                    *(interval(of.persons), interval(of.queries)),
                ),
            }
            for measure, of in pair.found.items()
        ],
    }


def values_table(name: str, contents: Sequence[dict]) -> dict:
    """A protocol's values by either run, and their differences."""
    first, second = (content["results"][name] for content in contents)
    rows = [row for row in dict.fromkeys((*first, *second)) if row != CHANCE]
    given = [measures for values in (first, second) for measures in values.values()]
    measures = [
        measure
        for measure in dict.fromkeys(key for values in given for key in values)
        if not measure.endswith(STD)
    ]

    def cells(row: str) -> list[dict]:
        found = []
        for measure in measures:
            a, b = (of.get(row, {}).get(measure, math.nan) for of in (first, second))
            texts = [
                per_cent(of[row], measure) if measure in of.get(row, {}) else "-"
                for of in (first, second)
            ]
            found += [
                {"text": texts[0], "best": a > b},
                {"text": texts[1], "best": b > a},
                {"text": signed(b - a), "best": False},
            ]
        return found

    return {
        "title": title(name),
        "measures": [heading_of(measure) for measure in measures],
        "rows": [
            {"title": title_of(row), "cells": cells(row)} for row in (*rows, CHANCE)
        ],
    }
