"""The queries of a report: their ranked lists under each rule, by each embedding."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.data.loader import load_example
from mbnet_jax.evaluation.embed import main_embedding
from mbnet_jax.evaluation.measure import Embedded, Judged, sides
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.report.cases import Case, judging, pick_cases
from mbnet_jax.report.images import Images
from mbnet_jax.report.lists import camera_of, clothes_of, nearest_images, short_names
from mbnet_jax.retrieval import RetrievalMetrics
from mbnet_jax.retrieval.labels import matches_and_junk

# A query's verdicts: whether the nearest image that the rule keeps is a true match.
RIGHT, WRONG, NO_MATCH = "right", "wrong", "no match"


def cards_of(
    config: ConfigDict,
    group: Sequence[Protocol],
    judged: dict[str, Judged],
    embedded: dict[str, Embedded],
    images: Images,
) -> list[dict]:
    """A group's queries, each with its lists, and whom to look at more closely.

    Of drawn galleries the first. `targets` are (title, split, index): the query, and
    its most similar true match under the group's `judging` protocol.
    """
    cases = pick_cases(config, group, judged)
    if not cases:
        return []
    galleries = {}
    for protocol in group:
        query, (gallery, *_) = sides(embedded, protocol, config.eval.draw_seed)
        galleries[protocol.name] = gallery
    shown = query.subset(np.array([case.row for case in cases]))
    cards = [
        _entry(config, shown.split, place, images)
        | {
            "kinds": case.kinds,
            "person": int(shown.split.pid[place]),
            "lists": [],
            "targets": [("The query", shown.split, place)],
        }
        for place, case in enumerate(cases)
    ]
    for protocol in group:
        gallery, outcome = galleries[protocol.name], judged[protocol.name]
        names = short_names(gallery.split)
        for name in shown.embeddings:
            lists = nearest_images(shown, gallery, name, protocol.rule)
            metrics = outcome.metrics[name][0]
            for card, case, found in zip(cards, cases, lists, strict=True):
                items = [
                    _entry(config, gallery.split, near.index, images, names)
                    | {"similarity": near.similarity, "correct": near.correct}
                    for near in found
                ]
                card["lists"].append(
                    {
                        "protocol": protocol.name,
                        "embedding": name,
                        "verdict": _verdict(metrics, case, items),
                        "words": _words(metrics, case, protocol, name),
                        "items": items,
                    }
                )
    protocol = judging(group)
    _add_best_matches(cards, cases, shown, galleries[protocol.name], protocol, judged)
    return cards


def _entry(
    config: ConfigDict,
    split: Split,
    index: int,
    images: Images,
    names: Sequence[str] | None = None,
) -> dict:
    """An image of a list: what the page shows of it."""
    load = partial(load_example, split, index, config.data)
    return {
        "image": images.add(split.names[index], lambda: load()["image"]),
        "file": split.names[index] if names is None else names[index],
        "camera": camera_of(split, index),
        "clothes": clothes_of(split, index),
    }


def _verdict(metrics: RetrievalMetrics, case: Case, items: Sequence[dict]) -> str:
    if not metrics.first_match_rank[case.row]:
        return NO_MATCH
    return RIGHT if items[0]["correct"] else WRONG


def _words(metrics: RetrievalMetrics, case: Case, protocol: Protocol, name: str) -> str:
    rank = int(metrics.first_match_rank[case.row])
    outcome = (
        f"first true match at rank {rank}, average precision "
        f"{100 * metrics.average_precision[case.row]:.1f} %"
        if rank
        else "no true match in the gallery"
    )
    drawn = ", first draw" if protocol.draws else ""
    return f"{protocol.title}{drawn}, by {title_of(name)}: {outcome}"


def _add_best_matches(
    cards: list[dict],
    cases: Sequence[Case],
    shown: Embedded,
    gallery: Embedded,
    protocol: Protocol,
    judged: dict[str, Judged],
) -> None:
    """Lets each card look at its query's most similar true match, if it has one."""
    name = main_embedding(shown.embeddings)
    matches, _ = matches_and_junk(
        shown.split.labels, gallery.split.labels, protocol.rule
    )
    first_rank = judged[protocol.name].metrics[name][0].first_match_rank
    for place, (card, case) in enumerate(zip(cards, cases, strict=True)):
        these = matches.indices[place, : matches.counts[place]]
        if len(these):
            rows = gallery.embeddings[name][these]
            best = int(these[np.argmax(rows @ shown.embeddings[name][place])])
            title = (
                f"Its nearest true match under {protocol.title}, at rank "
                f"{first_rank[case.row]} by {title_of(name)}"
            )
            card["targets"].append((title, gallery.split, best))
