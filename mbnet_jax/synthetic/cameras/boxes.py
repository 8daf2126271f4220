"""The boxes of a detector that is sometimes wrong."""

import numpy as np

# Shares of the ways in which boxes are far off; see `misplaced`.
_FAR = (0.25, 0.35, 0.2, 0.08, 0.12)


def misplaced(
    centre: np.ndarray, extent: np.ndarray, amount: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a detector's box for a right one: mostly close, sometimes far off.

    Args:
      centre, extent: float64 [2] of the right box, x and y; y grows downwards.
      amount: 0 to 1; at 1 a third of the boxes are far off.
      rng: random stream.

    Returns:
      float64 [2] centre and [2] extent.
    """
    low, high = centre - extent / 2, centre + extent / 2
    # Shares of the extent by which left, top, right and bottom move outwards.
    moved = amount * rng.normal(0, 0.03, 4)
    far = rng.random() < amount / 3
    how = rng.choice(("large", "cut", "shifted", "narrow", "wide"), p=_FAR)
    size = (0.4 + 0.6 * amount) * rng.beta(1.5, 3)
    side, other = rng.integers(4), rng.uniform(-1, 1)
    if far and how == "large":
        moved += 0.5 * size * rng.uniform(0.3, 1, 4)
    if far and how == "cut":  # Feet are hidden, the head is missed.
        moved[side] -= (0.5, 0.45, 0.5, 0.75)[side] * size
    if far and how == "shifted":
        shift = 0.5 * size * np.array([np.sign(other), other])
        moved += np.concatenate([-shift, shift])
    if far and how == "narrow":
        moved[[0, 2]] -= 0.35 * size
    if far and how == "wide":
        moved[[0, 2]] += 0.9 * size * np.array([0.5 + other / 2, 0.5 - other / 2])
    low, high = low - moved[:2] * extent, high + moved[2:] * extent
    return (low + high) / 2, high - low
