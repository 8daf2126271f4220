"""Rotary position embedding of EVA-02 (Su et al., 2021; Fang et al., 2024), in 2-D."""

import jax
import jax.numpy as jnp
import numpy as np

# Positions run from 0 to this along both axes of any grid: the grid, each way, of
# EVA-02's pretraining, also where a network's own is another (timm's ref_feat_shape).
_REFERENCE = 16
_BASE = 10_000

Tables = tuple[np.ndarray, np.ndarray]


def rotary_tables(h: int, w: int, channels: int, prefix: int) -> Tables:
    """Cosines and sines of a grid's angles, each float32 [prefix + h w, channels].

    Half of a head's channels turn by the row, half by the column; the angle of each
    pair of neighbours stands twice. Prefix tokens are not turned.

    Args:
      h, w: cells of the grid.
      channels: of a head, a multiple of 4.
      prefix: tokens before those of the cells.
    """
    rates = _BASE ** (-np.arange(channels // 4) / (channels // 4))
    rows = np.outer(np.arange(h) / h * _REFERENCE, rates)
    columns = np.outer(np.arange(w) / w * _REFERENCE, rates)
    angles = np.concatenate(
        [np.repeat(rows, w, axis=0), np.tile(columns, (h, 1))], axis=1
    )
    angles = np.repeat(angles, 2, axis=1)
    angles = np.concatenate([np.zeros((prefix, channels)), angles])
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rotate(x: jax.Array, tables: Tables) -> jax.Array:
    """Turns the pairs of channels of queries or keys [B, n, heads, channels].

    Computed in float32; returned in the dtype of x.
    """
    cosines, sines = (table[:, None, :] for table in tables)
    y = x.astype(jnp.float32)
    pairs = y.reshape(*y.shape[:-1], -1, 2)
    turned = jnp.stack([-pairs[..., 1], pairs[..., 0]], axis=-1).reshape(y.shape)
    return (y * cosines + turned * sines).astype(x.dtype)
