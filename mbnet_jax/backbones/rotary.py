"""Rotary position embedding (Su et al., 2021) in two dimensions, of EVA-02 and DINOv3.

A head's channels are pairs, each turned by an angle that grows with the position of the
cell: half of the pairs by its row, half by its column. A pair is channels i and
i + channels / 2, as in DINOv3, so that turning takes contiguous halves. EVA-02's pairs
are neighbours, 2 i and 2 i + 1: its weights' channels are put in this order when they
are read (`halved`), which leaves every product of queries and keys the same.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax.backbones.layers import known

Tables = tuple[np.ndarray, np.ndarray]


def _eva(cells: int, pairs: int) -> np.ndarray:
    # Positions run from 0 to 16 along both axes of any grid: the grid, each way, of
    # EVA-02's pretraining, also where a network's own is another (timm's
    # ref_feat_shape).
    positions = np.arange(cells) / cells * 16
    return np.outer(positions, 10_000 ** (-np.arange(pairs) / pairs))


def _dinov3(cells: int, pairs: int) -> np.ndarray:
    positions = 2 * (np.arange(cells) + 0.5) / cells - 1
    return np.outer(2 * np.pi * positions, 100 ** (-np.arange(pairs) / pairs))


# The angles of an axis: (its cells, pairs of channels) -> [cells, pairs].
ANGLES: dict[str, Callable[[int, int], np.ndarray]] = {"eva": _eva, "dinov3": _dinov3}


def rotary_tables(rotary: str, h: int, w: int, channels: int, prefix: int) -> Tables:
    """Cosines and sines of a grid's angles, each float32 [prefix + h w, channels / 2].

    Args:
      rotary: a name in `ANGLES`.
      h, w: cells of the grid.
      channels: of a head, a multiple of 4.
      prefix: tokens before those of the cells; they are not turned.
    """
    angles = known("kind of rotary embedding", rotary, ANGLES)
    rows, columns = (angles(cells, channels // 4) for cells in (h, w))
    angles = np.concatenate(
        [np.repeat(rows, w, axis=0), np.tile(columns, (h, 1))], axis=1
    )
    angles = np.concatenate([np.zeros((prefix, channels // 2)), angles])
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rotate(x: jax.Array, tables: Tables) -> jax.Array:
    """Turns the pairs of channels of queries or keys [B, n, heads, channels].

    Computed in float32; returned in the dtype of x.
    """
    cosines, sines = (table[:, None, :] for table in tables)
    a, b = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = [a * cosines - b * sines, b * cosines + a * sines]
    return jnp.concatenate(turned, axis=-1).astype(x.dtype)


def halved(x: np.ndarray, heads: int) -> np.ndarray:
    """Orders the first axis, heads x pairs x 2 channels, as heads x 2 x pairs."""
    pairs = x.reshape(heads, -1, 2, *x.shape[1:])
    return np.swapaxes(pairs, 1, 2).reshape(x.shape)
