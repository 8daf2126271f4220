"""Guesses which places in names are person, camera and clothes.

Every choice of places is scored by what the three look like: persons have several
images each; cameras are the same few for most persons; outfits differ within a person;
and some names say what they are ("cam2", "outfit 3").
"""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mbnet_jax.files import printable
from mbnet_jax.own_images.hints import CAMERA, CLOTHES, PERSON, SPLITS, share
from mbnet_jax.own_images.pattern import Pattern
from mbnet_jax.own_images.places import Place, Shape, shapes

_LOOKED_AT = 3000  # names
_TRIED = 12  # patterns of a shape that are matched with the names
_ALTERNATIVES = 3
_NEAR = 1.5  # scores below the best that are worth showing
_OUTFITS = 8  # of a person, on average, unless the names say that they are
_COVERED = 0.5  # least share of the names that a pattern must fit
_FITTING = 8  # what it counts that all names fit
_NO = -math.inf
_DATE = re.compile(r"(19|20)\d\d([-_. ]?)[01]\d\2[0-3]\d")


class Guess(NamedTuple):
    """The best pattern, and others that are nearly as likely."""

    pattern: Pattern
    others: list[Pattern]


@dataclass(frozen=True)
class _Coded:
    """A place with its values as numbers from 0, int [n]."""

    place: Place
    codes: np.ndarray
    count: int

    @property
    def kinds(self) -> list[str]:
        """What to look for words in."""
        return [self.place.kind] if self.place.kind else sorted({*self.place.values})

    @property
    def dates(self) -> bool:
        """Whether the values are days."""
        return all(map(_DATE.fullmatch, self.place.values))


def guess_pattern(names: Sequence[str]) -> Guess:
    """Guesses the pattern of the names of images.

    Args:
      names: paths with slashes, relative to the folder of the images.

    Raises:
      ValueError: if no place looks like a person; it shows some names.
    """
    step = max(len(names) / _LOOKED_AT, 1)
    looked_at = [names[int(n * step)] for n in range(int(len(names) / step))]
    scores: dict[str, float] = {}
    roles: dict[str, frozenset] = {}
    for shape in shapes(looked_at):
        for chosen, score in _choices(shape)[:_TRIED]:
            text = shape.pattern({place: field for field, place in chosen.items()})
            covered = _covered(text, looked_at)
            if covered >= _COVERED:
                score += _FITTING * (covered - 1)
                if score > scores.get(text, _NO):
                    scores[text], roles[text] = score, frozenset(chosen.items())
    if not scores:
        some = ", ".join(printable(name) for name in spread(names, 5))
        raise ValueError(
            "no part of the names looks like two persons or more with several images "
            f"each: {some}; say where person, camera and clothes are, as in "
            '--pattern "{person}/{camera}_*"'
        )
    ranked = sorted(scores, key=lambda text: (-scores[text], text))
    best = ranked[0]
    others = [
        Pattern(text)
        for text in ranked[1:]
        if scores[text] > scores[best] - _NEAR and not roles[text] < roles[best]
    ]
    return Guess(Pattern(best), others[:_ALTERNATIVES])


def spread(names: Sequence[str], count: int) -> list[str]:
    """Up to `count` of the names, from all over the list."""
    chosen = np.linspace(0, len(names) - 1, min(count, len(names))).astype(int)
    return [names[n] for n in chosen]


def _covered(text: str, names: Sequence[str]) -> float:
    try:
        pattern = Pattern(text)
    except ValueError:  # two places without a text between them
        return 0.0
    return sum(pattern.match(name) is not None for name in names) / len(names)


def _choices(shape: Shape) -> list[tuple[dict[str, int], float]]:
    """All choices of places and their scores, the best first: field -> order."""
    coded = []
    for place in shape.places:
        values, codes = np.unique(place.values, return_inverse=True)
        new = _Coded(place, codes, len(values))
        if not any(_same(new, other) for other in coded):
            coded.append(new)
    found = []
    for person in coded:
        score = _as_person(person, coded)
        if score == _NO:
            continue
        rest = [other for other in coded if other is not person]
        cameras = [(None, 0.0), *((q, _as_camera(q, person)) for q in rest)]
        clothes = [(None, 0.0), *((q, _as_clothes(q, person)) for q in rest)]
        for (camera, one), (outfit, two) in itertools.product(cameras, clothes):
            if one == _NO or two == _NO or (camera and camera is outfit):
                continue
            chosen = {"person": person, "camera": camera, "clothes": outfit}
            orders = {k: v.place.order for k, v in chosen.items() if v is not None}
            found.append((orders, score + one + two))
    return sorted(found, key=lambda choice: -choice[1])


def _same(one: _Coded, other: _Coded) -> bool:
    """Whether two places always differ together, as where a folder's name recurs."""
    return one.count == other.count == _combined(one, other)


def _combined(one: _Coded, other: _Coded) -> int:
    """How many combinations of the two occur."""
    return len(np.unique(one.codes * other.count + other.codes))


def _as_person(q: _Coded, all_places: Sequence[_Coded]) -> float:
    counts = np.bincount(q.codes)
    repeated = counts[counts > 1].sum() / len(q.codes)
    if q.count < 2 or repeated < 0.5:
        return _NO
    place = q.place
    score = repeated + 0.5 * place.folder - 0.15 * place.order
    score += 0.7 * min(math.log2(q.count), 8)
    score += 3 * share(q.kinds, PERSON)
    score += 0.3 * np.mean([value.istitle() for value in place.values])
    score -= 3 * max(share(q.kinds, words) for words in (CAMERA, CLOTHES, SPLITS))
    if place.kind and not share([place.kind], PERSON):
        score -= 1
    if q.dates or (place.last and place.numbers):  # or the number of the image
        score -= 3
    if place.numbers and not (place.kind or place.first):
        score -= 2
    before = (other for other in all_places if other.place.order < place.order)
    for other in before:  # the outfits of a person, say, rather than persons
        inside = 1 < other.count < q.count == _combined(other, q)
        if inside and share(other.kinds, SPLITS) < 0.5:
            return score - 1.5
    return score


class _Pairs(NamedTuple):
    """How a place goes with a person.

    several: share of the persons with several values.
    shared: share of the values with several persons.
    alone: share of the images that are alone with both.
    each: values of a person, on average.
    """

    several: float
    shared: float
    alone: float
    each: float


def _pairs(q: _Coded, person: _Coded) -> _Pairs:
    pairs, counts = np.unique(
        np.stack([person.codes, q.codes]), axis=1, return_counts=True
    )
    several = (np.bincount(pairs[0]) > 1).mean()
    shared = (np.bincount(pairs[1]) > 1).mean()
    alone = counts[counts == 1].sum() / len(q.codes)
    return _Pairs(several, shared, alone, len(counts) / person.count)


def _is_number_of_image(q: _Coded, alone: float) -> bool:
    place = q.place
    digits = max(len(value.removeprefix(place.kind)) for value in place.values)
    return place.numbers and (place.last or alone > 0.9 or digits > 3)


def _as_camera(q: _Coded, person: _Coded) -> float:
    several, shared, alone, _ = _pairs(q, person)
    told = share(q.kinds, CAMERA)
    if q.count < 2 or not several or shared < 0.5:
        return _NO
    if told >= 0.5:
        return 3 + 0.5 * several + 0.5 * shared
    other = max(share(q.kinds, words) for words in (CLOTHES, PERSON, SPLITS))
    if other >= 0.5 or q.place.kind or several < 0.3 or q.count > 64:
        return _NO
    if q.dates or _is_number_of_image(q, alone):
        return _NO
    return 1 + 0.5 * several + 0.5 * shared - 0.2 * q.place.order


def _as_clothes(q: _Coded, person: _Coded) -> float:
    several, shared, alone, each = _pairs(q, person)
    told = share(q.kinds, CLOTHES)
    if q.count < 2 or not several:
        return _NO
    if told >= 0.5:
        return 3 + 0.5 * several
    other = max(share(q.kinds, words) for words in (CAMERA, PERSON, SPLITS))
    if other >= 0.5 or q.place.kind or several < 0.3 or alone > 0.9:
        return _NO
    if each > _OUTFITS or _is_number_of_image(q, alone):
        return _NO

    score = 0.8 + 0.5 * several + told - 0.1 * q.place.order
    return score + 0.3 * q.place.folder + 0.4 * (shared < 0.5)
