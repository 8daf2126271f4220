"""The queries of a report, with their ranked lists by protocol and embedding."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.data.loader import load_example
from mbnet_jax.evaluation.embed import Embedded, main_embedding
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import ProtocolResult, query_and_galleries
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.report.cases import Case, main_protocol, pick_cases
from mbnet_jax.report.lists import labels_of, nearest_images, short_names
from mbnet_jax.report.page import Images
from mbnet_jax.report.similarity_pictures import Pair
from mbnet_jax.retrieval import RetrievalMetrics
from mbnet_jax.retrieval.labels import matches_and_junk

# Verdicts: whether the nearest image that the rule keeps is a true match.
RIGHT, WRONG, NO_MATCH = "right", "wrong", "no match"


def query_cards(
    config: ConfigDict,
    group: Sequence[Protocol],
    results: Mapping[str, ProtocolResult],
    embedded: Mapping[str, Embedded],
    images: Images,
) -> list[dict]:
    """Returns the queries of a group to show, each with its ranked lists.

    With several draws, the lists are those of the first gallery. `targets` of a card
    are the images to draw attention maps of, as (title, split, index): the query, and
    its most similar true match under the group's `main_protocol`. `pairs` are those
    whose similarity to draw: the query with this match, and with the nearest image of
    the list, if it shows another person.
    """
    cases = pick_cases(config, group, results)
    if not cases:
        return []
    galleries = {}
    for protocol in group:
        query, (gallery, *_) = query_and_galleries(
            embedded, protocol, config.eval.draw_seed
        )
        galleries[protocol.name] = gallery
    shown = query.subset(np.array([case.row for case in cases]))
    cards = [
        _entry(config, shown.split, index, images)
        | {
            "kinds": case.kinds,
            "lists": [],
            "targets": [("The query", shown.split, index)],
            "pairs": [],
        }
        for index, case in enumerate(cases)
    ]
    for protocol in group:
        gallery, result = galleries[protocol.name], results[protocol.name]
        names = short_names(gallery.split)
        for name in shown.embeddings:
            lists = nearest_images(shown, gallery, name, protocol.rule)
            metrics = result.metrics[name][0]
            for card, case, nearest in zip(cards, cases, lists, strict=True):
                items = [
                    _entry(config, gallery.split, near.index, images, names)
                    | {"similarity": near.similarity, "correct": near.correct}
                    for near in nearest
                ]
                card["lists"].append(
                    {
                        "protocol": protocol.name,
                        "embedding": name,
                        "verdict": _verdict(metrics, case, items),
                        "summary": _summary(metrics, case, protocol, name),
                        "items": items,
                    }
                )
    protocol = main_protocol(group)
    gallery = galleries[protocol.name]
    _add_best_matches(cards, cases, shown, gallery, protocol, results)
    _add_mistakes(cards, shown, gallery, protocol)
    return cards


def _entry(
    config: ConfigDict,
    split: Split,
    index: int,
    images: Images,
    names: Sequence[str] | None = None,
) -> dict:
    """Returns what the page shows of an image; `names` are the names to print."""
    load = partial(load_example, split, index, config.data)
    return {
        "image": images.add(split.names[index], lambda: load()["image"]),
        "file": split.names[index] if names is None else names[index],
    } | labels_of(split, index)


def _verdict(metrics: RetrievalMetrics, case: Case, items: Sequence[dict]) -> str:
    if not metrics.first_match_rank[case.row]:
        return NO_MATCH
    return RIGHT if items[0]["correct"] else WRONG


def _summary(
    metrics: RetrievalMetrics, case: Case, protocol: Protocol, name: str
) -> str:
    rank = int(metrics.first_match_rank[case.row])
    outcome = (
        f"first true match at rank {rank}, average precision "
        f"{100 * metrics.average_precision[case.row]:.1f} %"
        if rank
        else "no true match in the gallery"
    )
    draw = ", first draw" if protocol.draws else ""
    return f"{protocol.title}{draw}, by {title_of(name)}: {outcome}"


def _add_best_matches(
    cards: list[dict],
    cases: Sequence[Case],
    shown: Embedded,
    gallery: Embedded,
    protocol: Protocol,
    results: Mapping[str, ProtocolResult],
) -> None:
    """Adds the most similar true match to each card that has one."""
    name = main_embedding(shown.embeddings)
    matches, _ = matches_and_junk(
        shown.split.labels, gallery.split.labels, protocol.rule
    )
    first_rank = results[protocol.name].metrics[name][0].first_match_rank
    for index, (card, case) in enumerate(zip(cards, cases, strict=True)):
        true = matches.indices[index, : matches.counts[index]]
        if len(true):
            rows = gallery.embeddings[name][true]
            best = int(true[np.argmax(rows @ shown.embeddings[name][index])])
            title = (
                f"Its nearest true match under {protocol.title}, at rank "
                f"{first_rank[case.row]} by {title_of(name)}"
            )
            card["targets"].append((title, gallery.split, best))
            card["pairs"].append(
                Pair(title, (shown.split, index), (gallery.split, best))
            )


def _add_mistakes(
    cards: list[dict], shown: Embedded, gallery: Embedded, protocol: Protocol
) -> None:
    """Adds the nearest image to the pairs of each card where it is no true match."""
    name = main_embedding(shown.embeddings)
    lists = nearest_images(shown, gallery, name, protocol.rule)
    for index, (card, nearest) in enumerate(zip(cards, lists, strict=True)):
        if nearest and not nearest[0].correct:
            title = (
                f"Another person, at rank 1 under {protocol.title} by {title_of(name)}"
            )
            other = gallery.split, nearest[0].index
            card["pairs"].append(Pair(title, (shown.split, index), other))
