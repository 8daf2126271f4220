"""Applies protocols to the loaded test splits: who takes part, what is drawn."""

from collections.abc import Sequence

import numpy as np

from mbnet_jax.data import Protocol, Split
from mbnet_jax.retrieval.labels import matches_and_junk

# Rule -> the labels that it compares.
NEEDS = {
    "any": frozenset(),
    "general": frozenset({"camera"}),
    "same_clothes": frozenset({"camera", "clothes"}),
    "clothes_changing": frozenset({"camera", "clothes"}),
}


def usable_protocols(
    protocols: Sequence[Protocol], test: dict[str, Split]
) -> tuple[tuple[Protocol, ...], list[str]]:
    """Selects the protocols whose labels the test splits have.

    If none is left, every gallery image of the query's person is a true match (the
    rule "any").

    Args:
      protocols: of the dataset, `Dataset.protocols`.
      test: its test splits by name, `Dataset.test`.

    Returns:
      The protocols, and notes to print: which protocols are left out, and how many
      queries have no true match.
    """
    known = frozenset.intersection(*(split.known for split in test.values()))
    usable, notes = [], []
    for protocol in protocols:
        missing = sorted(NEEDS[protocol.rule] - known)
        if missing:
            labels = " and no ".join(missing)
            notes.append(f"{protocol.title} is left out: no {labels} labels")
        else:
            usable.append(protocol)
    if not usable:
        first = protocols[0]
        usable = [Protocol("any", first.query, first.gallery, "any")]
        notes.append(
            "any: every gallery image of the query's person is a true match, also "
            "one from the same camera"
        )
    for protocol in usable:
        query = test[protocol.query]
        query = query.subset(participants(protocol, query))
        gallery = test[protocol.gallery]
        gallery = gallery.subset(participants(protocol, gallery))
        matches, _ = matches_and_junk(query.labels, gallery.labels, protocol.rule)
        without = int((matches.counts == 0).sum())
        if without:
            notes.append(
                f"{protocol.title}: {without} of {len(query)} queries have no true "
                "match in the gallery and are left out of the means"
            )
    return tuple(usable), notes


def participants(protocol: Protocol, split: Split) -> np.ndarray:
    """Indices of the images of `split` that take part, int [n]."""
    if not protocol.cameras:
        return np.arange(len(split))
    return np.flatnonzero(np.isin(split.camera, protocol.cameras))


def draw_gallery(pid: np.ndarray, seed: int, draw: int) -> np.ndarray:
    """Draws one random image per person, as a function of (seed, draw).

    Args:
      pid: int [n], the person of each gallery image.
      seed: `eval.draw_seed`.
      draw: number of the draw.

    Returns:
      Ascending indices, int [persons].
    """
    rng = np.random.default_rng([seed, draw])
    shuffled = rng.permutation(len(pid))
    return np.sort(shuffled[np.unique(pid[shuffled], return_index=True)[1]])


def drawn_protocol(protocols: Sequence[Protocol]) -> Protocol:
    """The protocol whose ranked lists are shown: the last multi-shot one."""
    return [p for p in protocols if not p.draws][-1]
