"""The values by which gallery items are ranked, one block against another.

A value is greater the nearer the item: by cosine the similarity, by Euclidean
distance minus its square; re-ranked, minus the re-ranked distance.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mbnet_jax.retrieval.blocks import GalleryBlock, QueryBlock

DTYPES = ("float32", "bfloat16")


def check_dtype(dtype) -> jnp.dtype:
    """The dtype of the products' factors.

    Raises:
      ValueError: it is neither float32 nor bfloat16.
    """
    if jnp.dtype(dtype).name not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is unknown; choose from {DTYPES}")
    return jnp.dtype(dtype)


def block_values(
    query: QueryBlock,
    gallery: GalleryBlock,
    scale_B: jax.Array | None,
    offset_1xBxG: jax.Array | None,
    metric: str,
) -> jax.Array:
    """float32 [B, G] on one device; -inf for rows that are not the block's own.

    With a scale and an offset, minus (squared distance x scale) + offset.
    """
    product_BxG = lax.dot_general(
        query.rows_BxD,
        gallery.rows_nGxD,
        (((1,), (1,)), ((), ())),
        # The default on GPU and TPU is not float32.
        precision=lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )
    norm_Bx1, norm_G = query.norm_B[:, None], gallery.norm_nG
    if metric == "cosine":
        # Scaled afterwards: a normalised copy of the gallery costs time and memory.
        norm_BxG = norm_Bx1 * norm_G
        value_BxG = product_BxG / jnp.where(norm_BxG > 0, norm_BxG, 1)
    else:
        value_BxG = 2 * product_BxG - norm_G * norm_G - norm_Bx1 * norm_Bx1
    if offset_1xBxG is not None:
        if metric == "cosine":
            value_BxG = 2 * value_BxG - 2  # minus the unit rows' squared distance
        value_BxG = value_BxG * scale_B[:, None] + offset_1xBxG[0]
    # -0 would not tie with 0 where order is decided by bits.
    value_BxG = jnp.where(value_BxG == 0, 0.0, value_BxG)
    index_G = gallery.start_n + jnp.arange(len(norm_G))
    _, fresh, stop = gallery.own_nx3[0]
    own_G = (index_G >= fresh) & (index_G < stop)
    return jnp.where(own_G, value_BxG, -jnp.inf)


def order_key(value: jax.Array) -> jax.Array:
    """int32 keys in the order of float32 values without NaN and -0.

    With whole numbers "nearer, or as near and earlier" is one comparison.
    """
    bits = lax.bitcast_convert_type(value, jnp.int32)
    return jnp.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
