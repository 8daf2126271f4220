"""Features in blocks of one shape, and the similarities of two blocks.

Every similarity of a call comes from `kept_similarities` on blocks of one
shape. Another shape may add up in another order and differ in the last bit,
and an image would then not tie with its own duplicate.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

QUERY_BLOCK = 256
GALLERY_BLOCK = 2048

# Block sizes are multiples of these, up to which small sets are padded.
QUERY_STEP = 8
GALLERY_STEP = 64

# Rows of greater or smaller length would leave the range of float32 products.
MIN_NORM, MAX_NORM = 1e-15, 1e18

# Order keys of what is not ranked; every similarity's key is greater.
REMOVED = np.int32(np.iinfo(np.int32).min)


class Block(NamedTuple):
    """Some rows of features on the device."""

    rows_BxD: jax.Array  # float32
    norm_B: jax.Array  # their L2 norms


class GalleryBlock(NamedTuple):
    """Gallery rows from index `start` on, of which those from `fresh` to `stop`
    are this block's own; the others belong to the block before, or are padding.
    """

    rows_GxD: jax.Array  # float32
    norm_G: jax.Array
    start: int
    fresh: int
    stop: int


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


def block_size(rows: int, largest: int, step: int) -> int:
    """Rows of a block: near-equal blocks of at most `largest`, in whole steps.

    Equal blocks waste little on the last; few sizes mean few compilations.
    """
    num_blocks = -(-rows // largest)
    return -(-rows // (num_blocks * step)) * step


def query_blocks(features: np.ndarray, order: np.ndarray, size: int) -> Iterator[Block]:
    """Yields blocks of `size` query rows, in the order given, the last padded.

    Raises:
      ValueError: a row has no direction in float32.
    """
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield _block("query", features[chosen], size, chosen)


def gallery_blocks(features: np.ndarray, size: int) -> list[GalleryBlock]:
    """All gallery rows in blocks of `size` rows.

    The last block reaches back into the one before it rather than be padded,
    which would copy it; only a gallery smaller than one block is padded.

    Raises:
      ValueError: a row has no direction in float32.
    """
    blocks = []
    num_rows = len(features)
    for fresh in range(0, num_rows, size):
        start = max(min(fresh, num_rows - size), 0)
        rows = features[start : start + size]
        block = _block("gallery", rows, size, range(start, start + size))
        stop = min(start + size, num_rows)
        blocks.append(GalleryBlock(*block, start, fresh, stop))
    return blocks


def pad_indices(rows: np.ndarray, size: int) -> np.ndarray:
    """Index rows [n, width] followed by rows of -1, up to [size, width]."""
    return np.pad(rows, ((0, size - len(rows)), (0, 0)), constant_values=-1)


def _block(name: str, rows: np.ndarray, size: int, numbers) -> Block:
    """The rows on the device, padded with zero rows up to `size`, and checked."""
    count = len(rows)
    if count < size:
        rows = np.pad(rows, ((0, size - count), (0, 0)))
    rows_BxD = jnp.asarray(rows, jnp.float32)
    norm_B = _norms(rows_BxD)
    norm = np.asarray(norm_B)[:count]
    usable = (norm >= MIN_NORM) & (norm <= MAX_NORM)
    if not usable.all():
        bad = int(np.argmin(usable))
        raise ValueError(
            f"{name} row {numbers[bad]} has no direction in float32: its length is "
            f"{norm[bad]} (all zeros, NaN, infinity, or out of range)"
        )
    return Block(rows_BxD, norm_B)


@jax.jit
def _norms(rows_BxD: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(rows_BxD * rows_BxD, axis=1))


def kept_similarities(
    query: Block, gallery: GalleryBlock, junk_BxJ: jax.Array
) -> jax.Array:
    """Cosine similarities [B, G] in full float32 precision, as order keys.

    Junk (gallery indices for each query, -1 for none) and rows that are not
    the gallery block's own are REMOVED.
    """
    product_BxG = lax.dot_general(
        query.rows_BxD,
        gallery.rows_GxD,
        (((1,), (1,)), ((), ())),
        precision=lax.Precision.HIGHEST,
    )
    # Scaled afterwards: a normalised copy of the gallery costs time and memory.
    norm_BxG = query.norm_B[:, None] * gallery.norm_G
    key_BxG = order_key(product_BxG / jnp.where(norm_BxG > 0, norm_BxG, 1))

    size = len(gallery.rows_GxD)
    index_G = gallery.start + jnp.arange(size)
    own_G = (index_G >= gallery.fresh) & (index_G < gallery.stop)
    key_BxG = jnp.where(own_G, key_BxG, REMOVED)
    # A negative index would count from the end: all outside go past the end.
    column_BxJ = junk_BxJ - gallery.start
    column_BxJ = jnp.where(column_BxJ < 0, size, column_BxJ)
    row_Bx1 = jnp.arange(len(key_BxG))[:, None]
    return key_BxG.at[row_Bx1, column_BxJ].set(REMOVED, mode="drop")


def order_key(value: jax.Array) -> jax.Array:
    """int32 keys in the order of finite float32 values, 0 and -0 being equal.

    With whole numbers "nearer, or as near and earlier" is one comparison.
    """
    bits = lax.bitcast_convert_type(jnp.where(value == 0, 0.0, value), jnp.int32)
    return _mirror_negative(bits)


def from_order_key(key: jax.Array) -> jax.Array:
    """The float32 values of order keys; -inf for REMOVED."""
    value = lax.bitcast_convert_type(_mirror_negative(key), jnp.float32)
    return jnp.where(key == REMOVED, -jnp.inf, value)


def _mirror_negative(bits: jax.Array) -> jax.Array:
    """Reverses the order of negative numbers; its own inverse."""
    return jnp.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
