"""Position embeddings of one grid for another, as timm resamples them."""

import numpy as np


def resampled(table: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a table [h, w, d] to `size`, float32; bicubic, antialiased.

    Equal to PyTorch's `interpolate(mode="bicubic", antialias=True)` and to
    `jax.image.resize(method="cubic")`.
    """
    if table.shape[:2] == tuple(size):
        return table.astype(np.float32)
    rows, columns = (_weights(*pair) for pair in zip(table.shape, size, strict=False))
    found = np.einsum("ih,jw,hwd->ijd", rows, columns, table, optimize=True)
    return found.astype(np.float32)


def _weights(old: int, new: int) -> np.ndarray:
    """The share of each of `old` cells in each of `new`, [new, old]."""
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale - 0.5
    x = np.abs(centres[:, None] - np.arange(old)) / max(scale, 1)
    # Keys' kernel (1981) with a = -0.5.
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    shares = np.where(x < 1, near, np.where(x < 2, far, 0))
    return shares / shares.sum(1, keepdims=True)


def source_grid(
    cells: int, native: int, own: tuple[int, int]
) -> tuple[int, int] | None:
    """The grid of a file's position embedding that has so many cells.

    The public weights' grid, native x native, if it has; else the network's own; else a
    square; else None.
    """
    side = round(cells**0.5)
    for h, w in ((native, native), own, (side, side)):
        if h * w == cells:
            return h, w
    return None
