"""`calibration.json`, in a run and in an export: from similarities to probabilities."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mbnet_jax import schema
from mbnet_jax.json_files import read_json, write_json
from mbnet_jax.models.branches import BRANCHES, needing_maps
from mbnet_jax.refusals import refuse, shown

FILE = "calibration.json"
NO_MAPS = "none"  # the branches need no parsing maps
GIVEN, PREDICTED = "given", "predicted"
_REMEDY = "evaluate the run again (mbnet-eval), or delete it"
_PRIOR = 0.5
_FIELDS = {"step": schema.whole(None), "calibrations": schema.mapping()}
_NUMBER = schema.real(None, -1e6, 1e6)
_ENTRY = {
    "dataset": schema.text(None),
    "people": schema.whole(None),
    "images": schema.whole(None),
    "rule": schema.text(None, 1, 200),
    "branches": schema.several(None, schema.text(None, 1, 200), 1),
    "flip": schema.flag(None),
    "maps": schema.choice(None, NO_MAPS, GIVEN, PREDICTED),
    "true": schema.whole(None, 1, 2**63),
    "false": schema.whole(None, 1, 2**63),
    "slope": _NUMBER,
    "offset": _NUMBER,
    "rate": schema.real(None, high=1.0),
    "threshold": schema.optional(schema.real(None, -2.0, 2.0)),
}


class Calibration(NamedTuple):
    """The probability that two images show one person, by their cosine similarity.

    It holds for embeddings of these branches, with or without mirrored images, and for
    parsing maps of this origin.

    Attributes:
      dataset: whose validation persons it was fitted on.
      people, images: how many.
      rule: which pairs of one person count, a key of `retrieval.RULES`.
      branches: that the embedding combines.
      flip: whether the mirrored image's embedding is added.
      maps: of `NO_MAPS`, `GIVEN`, `PREDICTED`.
      true, false: numbers of pairs of one person, and of two.
      slope, offset: of the log odds, if both kinds of pair are equally likely.
      rate: the wished share of false pairs that `threshold` accepts.
      threshold: the lowest similarity at which that share is not exceeded; None if
        there are too few false pairs to say.
    """

    dataset: str
    people: int
    images: int
    rule: str
    branches: tuple[str, ...]
    flip: bool
    maps: str
    true: int
    false: int
    slope: float
    offset: float
    rate: float
    threshold: float | None = None

    def probability(self, similarity: float, prior: float = _PRIOR) -> float:
        """The probability of one person.

        Args:
          similarity: the cosine.
          prior: how likely one person is before looking, above 0 and below 1.

        Raises:
          ValueError: if `prior` is not.
        """
        check_prior(prior)
        odds = self.slope * similarity + self.offset + math.log(prior / (1 - prior))
        return 0.5 * (1 + math.tanh(odds / 2))

    @property
    def way(self) -> str:
        """How the embeddings are made that it holds for, in words."""
        flip = "with" if self.flip else "without"
        branches = ", ".join(self.branches)
        return f"{branches} ({flip} mirrored images, parsing maps: {self.maps})"

    @property
    def origin(self) -> str:
        """What it was fitted on, in words."""
        return (
            f"{self.people} validation persons of {self.dataset} ({self.true:,} "
            f"pairs of one person under the rule {self.rule}, {self.false:,} of two)"
        )


def check_prior(prior: float) -> None:
    """Raises a ValueError unless `prior` is a number above 0 and below 1."""
    number = isinstance(prior, int | float) and not isinstance(prior, bool)
    if not number or not 0 < prior < 1:
        raise ValueError(
            f"prior={shown(prior)} must be a number above 0 and below 1: how likely "
            "two images show one person, before looking"
        )


def origin_of_maps(branches: Sequence[str], predicted: bool) -> str:
    """Where the parsing maps come from that these branches take."""
    known = [name for name in branches if name in BRANCHES]
    if not needing_maps(known):
        return NO_MAPS
    return PREDICTED if predicted else GIVEN


def fitting(
    calibrations: Sequence[Calibration],
    branches: Sequence[str],
    flip: bool,
    maps: str,
    dataset: str = "",
) -> Calibration | None:
    """The calibration of embeddings made in this way; None if there is none.

    If there are several, that of `dataset`, or else the one fitted on most people.
    """
    found = [
        each
        for each in calibrations
        if (each.branches, each.flip, each.maps) == (tuple(branches), flip, maps)
    ]
    return max(found, key=lambda c: (c.dataset == dataset, c.people), default=None)


def problems(entry: Any, prefix: str) -> Iterator[str]:
    """What is wrong with the entry of a calibration in a JSON file, a line each."""
    if not isinstance(entry, dict):
        yield f"{prefix.removesuffix('.')} is no object"
        return
    known = {k: v for k, v in entry.items() if v is not None}
    yield from schema.problems(known, _ENTRY, prefix)


def calibration_of(entry: Mapping) -> Calibration:
    """The calibration of an entry without problems."""
    return Calibration(**entry | {"branches": tuple(entry["branches"])})


def read_calibrations(folder: Path, step: int) -> list[Calibration]:
    """The calibrations of a run's or an export's checkpoint of `step`.

    [] if there is no such file, or it is of another checkpoint.

    Raises:
      ValueError: naming the file if it is damaged.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return []
    content = read_json(path, _FIELDS, _REMEDY)
    found = []
    for name, entry in content["calibrations"].items():
        refuse(problems(entry, f"calibrations.{name}."), f"{path} is damaged", _REMEDY)
        found.append(calibration_of(entry))
    return found if content["step"] == step else []


def write_calibrations(
    folder: Path, step: int, calibrations: Sequence[Calibration]
) -> None:
    """Adds calibrations to the file; those of another checkpoint are dropped.

    An earlier one of the same dataset and the same way of embedding is replaced.
    """
    try:
        before = read_calibrations(folder, step)
    except ValueError:  # damaged: it is written anew
        before = []
    everything = (*before, *calibrations)
    each = {f"{one.dataset}: {one.way}": one._asdict() for one in everything}
    content = {"step": step, "prior": _PRIOR, "calibrations": each}
    write_json(folder / FILE, content)
