"""Evaluation protocols: which queries meet which gallery, under which rule."""

from typing import NamedTuple


class Protocol(NamedTuple):
    """One column group of the table. Splits are fields of `data.Dataset`."""

    name: str
    query: str
    gallery: str
    rule: str


def _three_rules(query: str, gallery: str) -> tuple[Protocol, ...]:
    rules = ("general", "same_clothes", "clothes_changing")
    return tuple(Protocol(rule, query, gallery, rule) for rule in rules)


TEST = {
    "synthetic": _three_rules("query", "gallery"),
}

# The model that counts as best has the highest mAP of the embedding "all" here.
VALIDATION = Protocol(
    "validation", "validation_query", "validation_gallery", "clothes_changing"
)
# Ranked lists are drawn under this protocol of TEST.
DRAWN = "clothes_changing"
