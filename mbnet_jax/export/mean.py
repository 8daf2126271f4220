"""The mean of two networks' weights."""

from collections.abc import Mapping
from typing import Any

import jax
from flax.traverse_util import flatten_dict, unflatten_dict

from mbnet_jax.runs.network import IMAGE_PARSER, Network


def mean_of(network: Network, other: Network, source: str) -> Network:
    """A network whose weights are the means of two that have a common start.

    Where training again gains in one respect and loses in another, the mean keeps most
    of both (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022). The
    running averages of batch norm are averaged too. Modules that only one of the two
    has, such as a new head, are those of `network`, and so is an image parser of
    another size.

    Args:
      network: whose config the mean has.
      other: what its training started from (`model.initial`), or another network that
        started from it or from the same one.
      source: names `other` in errors.

    Raises:
      ValueError: if they have no module in common, or one of other shapes.
    """
    ours, theirs = (flatten_dict(each.variables) for each in (network, other))
    shared = _modules(ours) & _modules(theirs)
    differing = [
        path
        for path in {**ours, **theirs}
        if path[1] in shared and _shape(ours, path) != _shape(theirs, path)
    ]
    if {path[1] for path in differing} == {IMAGE_PARSER}:
        shared.remove(IMAGE_PARSER)
        differing = []
    if differing or not shared:
        what = "it has none of its modules"
        if differing:
            what = f"its {'/'.join(differing[0])} has another shape"
        raise ValueError(
            f"--mean={source} is another kind of network than --model: {what}; give "
            "the one that the training started from"
        )
    mean = {
        path: (array + theirs[path]) / 2 if path[1] in shared else array
        for path, array in ours.items()
    }
    return network._replace(variables=unflatten_dict(mean))


def _modules(arrays: Mapping[tuple[str, ...], Any]) -> set[str]:
    return {path[1] for path in arrays}


def _shape(arrays: Mapping[tuple[str, ...], jax.Array], path: tuple[str, ...]):
    found = arrays.get(path)
    return None if found is None else found.shape
