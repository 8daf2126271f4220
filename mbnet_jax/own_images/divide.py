"""Divides own images: some persons are trained on, the others are searched for.

For a test person, one image of each camera and outfit is a query, and the others are
the gallery.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.own_images.pattern import Labels
from mbnet_jax.retrieval import RULES
from mbnet_jax.retrieval.labels import Same

# The hardest rule first; test persons are drawn from those whom it can score.
_RULES = ("clothes_changing", "general", "any")
_LEAST = 2  # persons in training, and in the test


class Division(NamedTuple):
    """Which image is in which split.

    Attributes:
      splits: image -> "train", "query" or "gallery".
      rule: the hardest one that scores all test persons.
      single: persons with one image; they are trained on.
    """

    splits: dict[str, str]
    rule: str
    single: list[str]


def divide(labels: Mapping[str, Labels], share: float, seed: int) -> Division:
    """Divides the images by persons.

    Args:
      labels: image -> what its name says; a field that one image has, all have.
      share: of the persons to test on, in 0..1.
      seed: of the random choices.

    Raises:
      ValueError: if there are too few persons for training and a test.
    """
    images = defaultdict(list)
    for name in sorted(labels):
        images[labels[name].person].append(name)
    persons = sorted(images)
    if len(persons) < 2 * _LEAST:
        raise ValueError(
            f"{len(persons)} person{'s' * (len(persons) > 1)} in {len(labels)} images, "
            f"but training needs {_LEAST}, and the test {_LEAST} others: add persons, "
            "or correct --pattern; to search without training, use mbnet-search"
        )
    wanted = min(max(round(share * len(persons)), _LEAST), len(persons) - _LEAST)
    rng = np.random.default_rng(seed)
    for rule in _RULES:
        pairs = {
            person: pair
            for person in persons
            if (pair := _pair(images[person], labels, rule)) is not None
        }
        if len(pairs) >= wanted or (rule == _RULES[-1] and len(pairs) >= _LEAST):
            break
    else:
        raise ValueError(
            f"only {len(pairs)} of {len(persons)} persons have two images, which a "
            f"test needs of at least {_LEAST}; add images, or correct --pattern"
        )
    wanted = min(wanted, max(2 * len(pairs) // 3, _LEAST))
    tested = sorted(rng.permutation(sorted(pairs))[:wanted].tolist())
    splits = dict.fromkeys(labels, "train")
    for person in tested:
        splits |= _query_and_gallery(images[person], labels, pairs[person], rule, rng)
    single = [person for person in persons if len(images[person]) == 1]
    return Division(dict(sorted(splits.items())), rule, single)


def _pair(
    images: Sequence[str], labels: Mapping[str, Labels], rule: str
) -> tuple[str, str] | None:
    """Two images of a person of which, under the rule, one finds the other."""
    if any(not getattr(labels[images[0]], need) for need in RULES[rule].needs):
        return None
    first = {}
    for name in images:
        first.setdefault(labels[name], name)
    candidates = [*first.values()] if rule != "any" else images[:2]
    for number, one in enumerate(candidates):
        for two in candidates[number + 1 :]:
            if not _is_junk(labels[one], labels[two], rule):
                return one, two
    return None


def _is_junk(one: Labels, two: Labels, rule: str) -> bool:
    """Whether the rule takes an image away from the gallery of another one."""
    alike = (one.camera == two.camera, one.clothes == two.clothes, False)
    return bool(RULES[rule].junk(Same(*map(np.array, alike))))


def _query_and_gallery(
    images: Iterable[str],
    labels: Mapping[str, Labels],
    pair: tuple[str, str],
    rule: str,
    rng: np.random.Generator,
) -> dict[str, str]:
    """A query of each camera and outfit with several images; the rest is the gallery.

    If none of them is scored under the rule, the first of `pair` is the only query.
    """
    alike = defaultdict(list)
    for name in images:
        alike[labels[name]].append(name)
    splits = {}
    for names in alike.values():
        mixed = rng.permutation(names).tolist()
        if len(mixed) > 1:
            splits[mixed.pop()] = "query"
        splits |= dict.fromkeys(mixed, "gallery")
    query, gallery = (
        [name for name in splits if splits[name] == side]
        for side in ("query", "gallery")
    )
    scored = (not _is_junk(labels[q], labels[g], rule) for q in query for g in gallery)
    if any(scored):
        return splits
    return dict.fromkeys(splits, "gallery") | {pair[0]: "query"}
