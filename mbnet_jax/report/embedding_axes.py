"""The numbers behind a map of embeddings: persons, axes, places, nearest labels."""

import numpy as np
from scipy.linalg import eigh

AXES = 6  # shown two at a time
WIDTH, HEIGHT, MARGIN = 1000, 620, 30  # of the map, in its own units


def whole_persons(pid: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Ascending indices of the images of random persons, at most `most` of them.

    Persons are taken whole, in an order that `seed` decides, while they fit; if the
    first does not fit, it is cut.
    """
    persons = np.random.default_rng(seed).permutation(np.unique(pid))
    counts = np.array([np.sum(pid == person) for person in persons])
    fit = max(int(np.sum(np.cumsum(counts) <= most)), 1)
    return np.flatnonzero(np.isin(pid, persons[:fit]))[:most]


def principal_axes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal component analysis of rows [n, d].

    Returns:
      The coordinates on the first `AXES` axes, float [n, AXES], and the share of the
      variance that each holds, [AXES]; zeros where there are fewer axes. An axis
      has the sign that makes its largest coordinate positive.
    """
    centred = np.asarray(rows, np.float64) - rows.mean(0, dtype=np.float64)
    products, n = centred @ centred.T, len(rows)  # [n, n], much smaller than [d, d]
    first = max(n - AXES, 0)
    values, vectors = eigh(products, subset_by_index=[first, n - 1])
    values = np.maximum(values[::-1], 0)
    coordinates = vectors[:, ::-1] * np.sqrt(values)
    largest = np.take_along_axis(
        coordinates, np.abs(coordinates).argmax(0, keepdims=True), 0
    )
    coordinates = coordinates * np.where(largest < 0, -1, 1)
    total = np.trace(products)
    shares = values / total if total > 0 else values
    missing = AXES - coordinates.shape[1]
    return np.pad(coordinates, ((0, 0), (0, missing))), np.pad(shares, (0, missing))


def positions(coordinates: np.ndarray) -> np.ndarray:
    """Places [n, AXES] on the map, int, each pair of axes by itself in one scale."""
    placed = []
    for first in range(0, AXES, 2):
        pair = coordinates[:, first : first + 2] * (1, -1)  # y is up
        low, high = pair.min(0), pair.max(0)
        room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
        span = high - low
        scale = min((room[span > 0] / span[span > 0]).tolist(), default=0)
        middle = np.array([WIDTH, HEIGHT]) / 2
        placed.append(np.rint(middle + (pair - (low + high) / 2) * scale))
    return np.concatenate(placed, axis=1).astype(int)


def nearest_agree(rows: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """How often the nearest other row [n, d] has the same value, and a random one.

    NaN of a single row.
    """
    if len(rows) < 2:
        return np.nan, np.nan
    similarity = rows @ rows.T
    np.fill_diagonal(similarity, -np.inf)
    _, of, counts = np.unique(values, return_inverse=True, return_counts=True)
    others = (counts[of] - 1) / (len(rows) - 1)
    same = values[similarity.argmax(1)] == values
    return float(same.mean()), float(others.mean())
