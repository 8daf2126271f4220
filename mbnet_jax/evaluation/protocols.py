"""Evaluation protocols as data: which queries meet which gallery, under which rule."""

from typing import NamedTuple

import numpy as np

from mbnet_jax.data import Split
from mbnet_jax.retrieval.labels import get_rule, matches_and_junk


class Protocol(NamedTuple):
    """One column group of the table.

    Attributes:
      name: its title, words joined by underscores.
      query: the test split of the queries.
      gallery: the test split of the gallery.
      rule: a key of `retrieval.RULES`.
      cameras: the only ones that take part, counted from 0; empty: all.
      draws: 0: the whole gallery (multi-shot). Else as many galleries of one
        random image of each person are drawn (single-shot), and values are means.
      paper: Rank-1 and mAP in MBNet's paper, in 0..1, where it gives them.
    """

    name: str
    query: str
    gallery: str
    rule: str
    cameras: tuple[int, ...] = ()
    draws: int = 0
    paper: tuple[float, float] | None = None

    @property
    def title(self) -> str:
        """The name as it is printed."""
        return self.name.replace("_", "-")


def _three_rules(
    paper: tuple[float, float] | None = None,
) -> tuple[Protocol, ...]:
    return (
        Protocol("general", "query", "gallery", "general"),
        Protocol("same_clothes", "query", "gallery", "same_clothes"),
        Protocol(
            "clothes_changing", "query", "gallery", "clothes_changing", paper=paper
        ),
    )


# The paper names neither its datasets nor PRCC's gallery in what was at hand: that
# its figures belong to these protocols is inferred from published tables.
# Ranked lists are drawn under the last protocol that has the whole gallery.
TEST = {
    "synthetic": _three_rules(),
    "manifest": _three_rules(),
    "ltcc": _three_rules(paper=(0.446, 0.227)),
    # The queries' clothes are chosen by their split: the rule is the general one.
    "prcc": (
        Protocol("same_clothes_multi_shot", "query_same", "gallery", "general"),
        Protocol(
            "same_clothes_single_shot", "query_same", "gallery", "general", draws=10
        ),
        Protocol(
            "clothes_changing_multi_shot",
            "query_changing",
            "gallery",
            "general",
            paper=(0.583, 0.579),
        ),
        Protocol(
            "clothes_changing_single_shot",
            "query_changing",
            "gallery",
            "general",
            draws=10,
        ),
    ),
    # Cameras 2 and 3 (of 1 to 4) show the same clothes, 3 and 4 different ones.
    "vc_clothes": (
        Protocol("general", "query", "gallery", "general"),
        Protocol("same_clothes", "query", "gallery", "general", cameras=(1, 2)),
        Protocol(
            "clothes_changing",
            "query",
            "gallery",
            "general",
            cameras=(2, 3),
            paper=(0.872, 0.840),
        ),
    ),
}


def usable_protocols(
    name: str, test: dict[str, Split]
) -> tuple[tuple[Protocol, ...], list[str]]:
    """The protocols of dataset `name` that its labels allow, and notes to print.

    The notes say which are left out, and how many queries have no true match.
    Without camera labels every image of the query's person counts.
    """
    known = frozenset.intersection(*(split.known for split in test.values()))
    usable, notes = [], []
    for protocol in TEST[name]:
        lacking = sorted(get_rule(protocol.rule).needs - known)
        if lacking:
            labels = " and no ".join(lacking)
            notes.append(f"{protocol.title} is left out: no {labels} labels")
        else:
            usable.append(protocol)
    if not usable:
        usable = [Protocol("any", "query", "gallery", "any")]
        notes.append(
            "any: every gallery image of the query's person is a true match, also "
            "one from the same camera"
        )
    for protocol in usable:
        query = test[protocol.query]
        query = query.subset(places(protocol, query))
        gallery = test[protocol.gallery]
        gallery = gallery.subset(places(protocol, gallery))
        matches, _ = matches_and_junk(query.labels, gallery.labels, protocol.rule)
        without = int((matches.counts == 0).sum())
        if without:
            notes.append(
                f"{protocol.title}: {without} of {len(query)} queries have no true "
                "match in the gallery and are left out of the means"
            )
    return tuple(usable), notes


def places(protocol: Protocol, split: Split) -> np.ndarray:
    """The images of `split` that take part, as int [n]."""
    if not protocol.cameras:
        return np.arange(len(split))
    return np.flatnonzero(np.isin(split.camera, protocol.cameras))


def draw_gallery(pid: np.ndarray, seed: int, draw: int) -> np.ndarray:
    """One random image of each person, as int [persons]; a function of seed, draw."""
    rng = np.random.default_rng([seed, draw])
    shuffled = rng.permutation(len(pid))
    return np.sort(shuffled[np.unique(pid[shuffled], return_index=True)[1]])


def drawn_protocol(protocols: tuple[Protocol, ...]) -> Protocol:
    """The one whose ranked lists are drawn."""
    return [p for p in protocols if not p.draws][-1]
