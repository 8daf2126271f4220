"""Embeddings of tracklets: means over frames, which pass in batches."""

from collections.abc import Iterable, Mapping

import numpy as np


def mean_embeddings(
    batches: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]], tracklets: int
) -> dict[str, np.ndarray]:
    """Embeds tracklets: the mean of their frames' embeddings, scaled to length 1.

    Besides the result, the sum of one tracklet and one batch are in memory. Sums are
    float64, so the size of the batches matters to the last digit at most.

    Args:
      batches: for each batch of frames, their tracklets, int [n], which ascend from 0
        to `tracklets` over all batches, and kind -> their embeddings, float32 [n, d].
      tracklets: how many there are; each has a frame.

    Returns:
      kind -> float32 [tracklets, d]; zero where the frames cancel.
    """
    means: dict[str, np.ndarray] = {}
    sums: dict[str, np.ndarray] = {}
    current = 0

    def finish() -> None:
        for kind, total in sums.items():
            if kind not in means:
                means[kind] = np.zeros((tracklets, len(total)), np.float32)
            # The sum has the direction of the mean.
            length = np.linalg.norm(total)
            means[kind][current] = total / length if length else total
        sums.clear()

    for rows, embeddings in batches:
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            if rows[start] != current:
                finish()
                current = int(rows[start])
            for kind, values in embeddings.items():
                total = values[start:stop].sum(0, dtype=np.float64)
                sums[kind] = sums[kind] + total if kind in sums else total
    finish()
    return means
