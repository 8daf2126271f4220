"""What several losses do to their arrays."""

import jax
import jax.numpy as jnp


def as_float32(x: jax.Array) -> jax.Array:
    """x in float32."""
    return jnp.asarray(x, jnp.float32)


def pool_area(area: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Averages an area [B, H, W] over equal cells: [B, h, w, 1], float32.

    Raises:
      ValueError: if H and W are not multiples of `size`, (h, w).
    """
    (batch, height, width), (h, w) = area.shape, size
    if height % h or width % w:
        raise ValueError(
            f"an area of {height}x{width} pixels has no equal cells on a map of "
            f"{h}x{w}; choose an image size that is a multiple of the map's"
        )
    # Rows first: a TPU lays out five axes at once badly.
    rows = as_float32(area).reshape(batch, h, height // h, width).mean(2)
    return rows.reshape(batch, h, w, width // w).mean(3)[..., None]
