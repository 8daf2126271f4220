"""Whether the arrays of a weights file fit a network, and what to say if not."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mbnet_jax.backbones.registry import BACKBONES

_SHOWN = 6  # names of each kind in an error
_ALIKE = 0.9  # the least likeness that tells a network


def check_fit(
    given: Mapping[str, np.ndarray],
    wanted: Mapping[str, tuple[int, ...]],
    ours: str | None = None,
) -> None:
    """Refuses arrays of other names or shapes than those wanted, or not finite.

    Args:
      given: name -> array.
      wanted: name -> shape.
      ours: the network that the arrays are for; None: found by its arrays' names.

    Raises:
      ValueError: listing the names that are missing, those that the network does not
        have, those of another shape, and those that are not finite.
    """
    both = [name for name in wanted if name in given]
    unlike = [name for name in both if given[name].shape != (*wanted[name],)]
    problems = {
        "missing": sorted(wanted.keys() - given.keys()),
        "not in the network": sorted(given.keys() - wanted.keys()),
        "of another shape": [
            f"{name} {given[name].shape}, not {(*wanted[name],)}" for name in unlike
        ],
        "not finite": [
            name
            for name in both
            if name not in unlike and not np.isfinite(given[name]).all()
        ],
    }
    if not any(problems.values()):
        return
    if ours is None:
        ours = whose(
            {name: jax.ShapeDtypeStruct(shape, float) for name, shape in wanted.items()}
        )
    theirs = whose(given, ours)
    lines = ["the weights do not fit the network"]
    if theirs != ours:
        theirs, ours = theirs or "another kind of network", ours or "this network"
        lines[0] += f": they are {theirs}'s, not {ours}'s"
    for kind, found in problems.items():
        if found:
            more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            lines.append(f"  {len(found)} {kind}: {', '.join(found[:_SHOWN])}{more}")
    raise ValueError("\n".join(lines))


def whose(weights: Mapping[str, Any], ours: str | None = None) -> str | None:
    """The network of `BACKBONES` that `weights` are of.

    Args:
      weights: as the file has them; only names and shapes are used.
      ours: the network that is preferred among equally alike ones.

    Returns:
      Its name; None if they are like none of them.
    """
    likeness = {
        name: backbone.likeness(weights)
        for name, backbone in BACKBONES.items()
        if backbone.likeness is not None
    }
    best = max(likeness, key=likeness.get)
    if ours in likeness and likeness[ours] >= likeness[best]:
        best = ours
    return best if likeness[best] >= _ALIKE else None
