"""The size of a gradient, and its limit."""

import jax
import jax.numpy as jnp


def clipped(grads, norm: float):
    """The gradient, scaled down where its global norm is above `norm`.

    As optax's `clip_by_global_norm`, but a function: that has a state, by which
    checkpoints with and without clipping would differ.
    """
    found = jnp.sqrt(sums_of_squares(grads).sum())
    scale = jnp.where(found > norm, norm / found, 1)
    return jax.tree.map(lambda x: x * scale, grads)


def sums_of_squares(tree) -> jax.Array:
    """Sums of the squares of a tree's arrays, [arrays], vectors taken together.

    A sum for each array: one for all is one loop to XLA, which compiles it for minutes.
    """
    leaves = jax.tree.leaves(tree)
    small = [x.ravel() for x in leaves if x.ndim < 2]
    large = [x for x in leaves if x.ndim > 1]
    if small:
        large.append(jnp.concatenate(jax.lax.optimization_barrier(small)))
    return jnp.stack([jnp.sum(jnp.square(x)) for x in large])
