"""Whether two photographs show the same person: similarity and probability."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.models.branches import needing_maps
from mbnet_jax.runs.calibration_file import (
    Calibration,
    check_prior,
    fitting,
    origin_of_maps,
)
from mbnet_jax.search.photographs import Photograph


class Comparison(NamedTuple):
    """How alike two photographs are to a network.

    Attributes:
      similarity: the cosine of their embeddings, -1..1.
      probability: that they show the same person; None if the network has no
        calibration for embeddings like these.
      calibrated_on: the people that the probability was fitted on, the prior and the
        branches, in words; None without a probability.
    """

    similarity: float
    probability: float | None
    calibrated_on: str | None


class Comparing:
    """What `Embedder` compares photographs with.

    Attributes:
      calibrations: of the network; [] if it has none.
    """

    calibrations: Sequence[Calibration] = ()

    def compare(
        self,
        a: Photograph,
        b: Photograph,
        parsing: Sequence[Photograph] | None = None,
        branches: Sequence[str] | None = None,
        prior: float = 0.5,
    ) -> Comparison:
        """Compares two photographs: similarity, and probability of one person.

        The probability was fitted on validation persons, for these branches, with or
        without mirrored images, and for parsing maps that were given or predicted. Maps
        of a parser count as given. For embeddings of another kind, or a network without
        calibration, it is None, and a warning says why. On other cameras and people
        than those, it may be far off.

        Args:
          a, b: as the images of `embed`.
          parsing: their two parsing maps, as in `embed`.
          branches: as in `embed`.
          prior: how likely the same person is before looking, above 0 and below 1. Of
            all pairs of people in a city, hardly any show one person.

        Raises:
          FileNotFoundError, ValueError: as `embed`; also if `prior` is out of range.
        """
        check_prior(prior)
        chosen = self.choose(branches, parsing is not None)
        rows = self.embed([a, b], parsing, chosen).astype(np.float64)
        similarity = float(np.clip(rows[0] @ rows[1], -1, 1))
        maps = origin_of_maps(chosen, self.predicts(chosen, parsing is not None))
        found = fitting(self.calibrations, chosen, self.flip, maps)
        if found is None:
            warnings.warn(_missing(self, chosen, maps), stacklevel=2)
            return Comparison(similarity, None, None)
        return Comparison(
            similarity,
            found.probability(similarity, prior),
            f"{found.origin}; branches {', '.join(chosen)}; prior {prior:g}",
        )


def _missing(embedder: Comparing, branches: Sequence[str], maps: str) -> str:
    """That there is no probability, and how to have one."""
    name = embedder.config.name
    if not embedder.calibrations:
        return (
            f"no probability: the network {name!r} has no calibration; evaluate its "
            "run with validation persons (data.validation, mbnet-eval), and export "
            "it again"
        )
    flip = "with" if embedder.flip else "without"
    of_maps = f" and {maps} parsing maps" if needing_maps(branches) else ""
    known = "; ".join(dict.fromkeys(each.way for each in embedder.calibrations))
    return (
        f"no probability: the network {name!r} is not calibrated for the branches "
        f"{', '.join(branches)} {flip} mirrored images{of_maps}, but for: {known}"
    )
