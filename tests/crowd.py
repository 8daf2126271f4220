"""Labels of people whom every camera saw in all their clothes."""

import numpy as np

from mbnet_jax.retrieval import Labels

PEOPLE, CAMERAS, CLOTHES = 16, 3, 2


def every_combination() -> Labels:
    """Each person at each camera in each of its clothes."""
    grid = np.indices((PEOPLE, CAMERAS, CLOTHES)).reshape(3, -1)
    pid, camera, clothes = grid
    return Labels(pid, camera, clothes + CLOTHES * pid)


LABELS = every_combination()


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
