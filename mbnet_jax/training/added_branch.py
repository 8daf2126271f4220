"""A branch that is added to a network's projection of all branches; ours.

A projection is fitted to branches as they are. When one of them is trained further and
gets ahead of the others, the projection no longer leans on it enough, and a new fit to
people whom the branches know well gains less than this.
"""

import numpy as np

from mbnet_jax.models import BRANCHES
from mbnet_jax.runs.network import HEAD, Network

_WEIGHTS = (0.25, 0.5, 1.0, 2.0)


def with_branch_added(network: Network, branch: str) -> dict[str, np.ndarray]:
    """A title -> a projection, float32 [d, width], for each weight of the branch.

    Args:
      network: with a projection.
      branch: one of its branches.

    Raises:
      ValueError: if the network has no projection or no such branch.
    """
    names = [name for name in BRANCHES if name in network.model.branches]
    if branch not in names:
        raise ValueError(
            f"--add={branch} is none of the network's branches: {', '.join(names)}"
        )
    if not network.model.projects():
        raise ValueError(
            f"--add={branch} needs a network whose branches are combined by a "
            "projection; fit one without --add first"
        )
    params = network.variables["params"]
    kernel = np.asarray(params["linear_projection"]["linear"]["kernel"])
    # The branches' embeddings are side by side.
    ends = np.cumsum([len(params[f"{n}{HEAD}"]["bnneck"]["scale"]) for n in names])
    rows = np.split(np.arange(len(kernel)), ends[:-1])[names.index(branch)]
    return {f"+ {w} {branch}": added(kernel, rows, w) for w in _WEIGHTS}


def added(kernel: np.ndarray, rows: np.ndarray, weight: float) -> np.ndarray:
    """The projection whose inner products are nearest a sum of two.

    One is the given projection's, the other a branch's times `weight`, scaled so that
    both have the same trace at a weight of 1. The best approximation of the same rank
    keeps the largest eigenvalues (Eckart and Young, Psychometrika 1936).

    Args:
      kernel: float32 [d, width].
      rows: int [n], those of the branch in the kernel.
      weight: at least 0; with 0 the inner products stay.

    Returns:
      float32 [d, width].
    """
    kernel = kernel.astype(np.float64)
    products = kernel @ kernel.T
    products[rows, rows] += weight * np.trace(products) / len(rows)
    values, vectors = np.linalg.eigh(products)
    largest = slice(None, -kernel.shape[1] - 1, -1)
    scales = np.sqrt(np.maximum(values[largest], 0))
    return (vectors[:, largest] * scales).astype(np.float32)
