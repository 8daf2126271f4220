"""Features as unit rows in blocks of one shape, and the product of two blocks.

Every similarity in this package comes from `similarities` on blocks of one
shape. Another shape may add up in another order and differ in the last bit,
and an image would then not tie with its own duplicate.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

QUERY_BLOCK = 256
GALLERY_BLOCK = 4096


def check_features(name: str, features: np.ndarray) -> np.ndarray:
    """The features as a NumPy array [n, D] with n, D > 0; maps stay unread.

    Raises:
      ValueError: they are not real numbers in two dimensions, or empty.
    """
    features = np.asarray(features)
    if not jnp.issubdtype(features.dtype, jnp.floating) and features.dtype.kind != "i":
        raise ValueError(f"{name} must hold real numbers, got {features.dtype}")
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(
            f"{name} must be [rows, features] and not empty, "
            f"got shape {list(features.shape)}"
        )
    return features


def check_pair(query: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both feature arrays, checked, and of one width.

    Raises:
      ValueError: see `check_features`; or the widths differ.
    """
    query, gallery = check_features("query", query), check_features("gallery", gallery)
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"query and gallery differ in width: {query.shape[1]} and "
            f"{gallery.shape[1]} features"
        )
    return query, gallery


def block_size(rows: int, largest: int) -> int:
    """Rows of a block: near-equal blocks, in one of 32 sizes up to `largest`.

    Equal blocks waste little on padding; few sizes mean few compilations.
    """
    step = max(largest // 32, 1)
    per_block = -(-rows // -(-rows // largest))
    return -(-per_block // step) * step


def unit_blocks(
    name: str, features: np.ndarray, size: int, order: np.ndarray | None = None
) -> Iterator[jax.Array]:
    """Yields float32 [size, D] blocks of L2-normalised rows, the last padded.

    Args:
      name: what the features are called in an error.
      features: [n, D].
      size: rows of a block.
      order: row indices to take, in this order; all rows where None.

    Raises:
      ValueError: a row is zero (no direction) or has NaN or infinity.
    """
    num_rows = len(features) if order is None else len(order)
    for start in range(0, num_rows, size):
        chosen = slice(start, start + size) if order is None else order[start:][:size]
        rows = features[chosen]
        count = len(rows)
        if count < size:
            rows = np.pad(rows, ((0, size - count), (0, 0)))
        unit, usable = _unit_rows(rows)
        usable = np.asarray(usable)[:count]
        if not usable.all():
            bad = int(np.argmin(usable))
            row = start + bad if order is None else int(order[start + bad])
            raise ValueError(
                f"{name} row {row} has no direction in float32: it is all zeros, "
                "or has NaN or infinity"
            )
        yield unit


def pad_indices(rows: np.ndarray, size: int) -> np.ndarray:
    """Index rows [n, width] followed by rows of -1, up to [size, width]."""
    return np.pad(rows, ((0, size - len(rows)), (0, 0)), constant_values=-1)


@jax.jit
def _unit_rows(rows_BxD: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Unit rows float32 [B, D], and which rows [B] have a direction."""
    rows_BxD = rows_BxD.astype(jnp.float32)
    # Divided by the largest entry first, so that squares do not overflow.
    largest_Bx1 = jnp.max(jnp.abs(rows_BxD), axis=1, keepdims=True)
    usable_Bx1 = jnp.isfinite(largest_Bx1) & (largest_Bx1 > 0)
    scaled_BxD = rows_BxD / jnp.where(usable_Bx1, largest_Bx1, 1)
    norm_Bx1 = jnp.linalg.norm(scaled_BxD, axis=1, keepdims=True)
    return scaled_BxD / jnp.where(usable_Bx1, norm_Bx1, 1), usable_Bx1[:, 0]


def similarities(query_BxD: jax.Array, gallery_GxD: jax.Array) -> jax.Array:
    """Cosine similarities [B, G] of unit rows, in full float32 precision."""
    product_BxG = lax.dot_general(
        query_BxD,
        gallery_GxD,
        (((1,), (1,)), ((), ())),
        precision=lax.Precision.HIGHEST,
    )
    # -0 and 0 are a tie, yet sorting routines may tell them apart.
    return jnp.where(product_BxG == 0, 0.0, product_BxG)


def kept_similarities(
    query_BxD: jax.Array,
    gallery_GxD: jax.Array,
    start: jax.Array,
    num_gallery: jax.Array,
    junk_BxJ: jax.Array,
) -> jax.Array:
    """Similarities [B, G] with -inf for junk and for padding of the gallery.

    Args:
      query_BxD: unit rows.
      gallery_GxD: unit rows of the gallery from index `start` on.
      start: gallery index of the block's first row.
      num_gallery: rows of the whole gallery; those beyond are padding.
      junk_BxJ: gallery indices to throw out for each query, -1 for none.
    """
    size = len(gallery_GxD)
    block_BxG = similarities(query_BxD, gallery_GxD)
    real_G = start + jnp.arange(size) < num_gallery
    block_BxG = jnp.where(real_G, block_BxG, -jnp.inf)
    # A negative index would count from the end: all outside go past the end.
    column_BxJ = junk_BxJ - start
    column_BxJ = jnp.where(column_BxJ < 0, size, column_BxJ)
    row_Bx1 = jnp.arange(len(query_BxD))[:, None]
    return block_BxG.at[row_Bx1, column_BxJ].set(-jnp.inf, mode="drop")
