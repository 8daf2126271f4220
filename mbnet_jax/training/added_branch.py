"""A branch that is added to a network's projection of all branches; ours.

A projection is fitted to branches as they are. When one of them is trained further and
gets ahead of the others, the projection no longer leans on it enough, and a new fit to
people whom the branches know well gains less than this.
"""

from collections.abc import Iterator

import numpy as np

from mbnet_jax.models import BRANCHES
from mbnet_jax.runs.network import HEAD, Network

_WEIGHTS = (0.25, 0.5, 1.0, 2.0)


def with_branch_added(
    network: Network, branch: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields a title and a projection for each weight of the branch.

    Args:
      network: with a projection.
      branch: one of its branches.

    Raises:
      ValueError: if the network has no projection or no such branch.
    """
    if branch not in network.model.branches:
        raise ValueError(
            f"--add={branch} is none of the network's branches: "
            f"{', '.join(network.model.branches)}"
        )
    if not network.model.projects():
        raise ValueError(
            f"--add={branch} needs a network whose branches are combined by a "
            "projection; fit one without --add first"
        )
    params = network.variables["params"]
    block = _blocks(params)[branch]
    kernel = np.asarray(params["linear_projection"]["linear"]["kernel"])
    for weight in _WEIGHTS:
        yield f"+ {weight} {branch}", added(kernel, block, weight)


def added(kernel: np.ndarray, block: slice, weight: float) -> np.ndarray:
    """The projection whose inner products are nearest a sum of two.

    One is the given projection's, the other a branch's times `weight`, scaled so that
    both have the same trace at a weight of 1. The best approximation of the same rank
    keeps the largest eigenvalues (Eckart and Young, Psychometrika 1936).

    Args:
      kernel: float32 [d, width].
      block: the branch's rows of the kernel.
      weight: at least 0; with 0 the inner products stay.

    Returns:
      float32 [d, width].
    """
    kernel = kernel.astype(np.float64)
    products = kernel @ kernel.T
    rows = np.arange(len(products))[block]
    products[rows, rows] += weight * np.trace(products) / len(rows)
    values, vectors = np.linalg.eigh(products)
    largest = slice(None, -kernel.shape[1] - 1, -1)
    scales = np.sqrt(np.maximum(values[largest], 0))
    return (vectors[:, largest] * scales).astype(np.float32)


def _blocks(params: dict) -> dict[str, slice]:
    """The rows of each branch's embedding in the projection's kernel."""
    blocks, start = {}, 0
    for name in BRANCHES:
        if f"{name}{HEAD}" in params:
            stop = start + len(params[f"{name}{HEAD}"]["bnneck"]["scale"])
            blocks[name], start = slice(start, stop), stop
    return blocks
