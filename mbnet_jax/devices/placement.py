"""Where each array of a training state lies: whole on every device, or split.

With `train.shard_parameters` parameters, moments and averages are split over the mesh
(ZeRO-3, Rajbhandari et al., SC 2020; FSDP). A parameter is gathered where it is used,
and its gradient is summed and split in one exchange. Only the batch splits activations.
"""

import math
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mbnet_jax.devices.mesh import AXIS, replicated

# Smaller arrays stay whole: an exchange of their own costs more time than their memory
# is worth. MBNet on ResNets has 1.3 % of its parameters in such, two EVA-02 L 0.2 %.
SMALLEST = 2**16  # elements
# The part of a backbone whose arrays are stacked over its blocks, [blocks, ...]. Its
# network gathers one block at a time, so the first axis is never split.
BLOCKS = "blocks"

_gathering: ContextVar[Mesh | None] = ContextVar("gathering", default=None)


def split_axis(shape: tuple[int, ...], devices: int) -> int | None:
    """The largest axis that the number of devices divides; None: the array stays whole.

    Args:
      shape: of the array; of one stacked over blocks, without the first axis.
      devices: their number.
    """
    if math.prod(shape) < SMALLEST or devices == 1:
        return None
    axes = [
        axis for axis, length in enumerate(shape) if length and length % devices == 0
    ]
    return max(axes, key=lambda axis: shape[axis], default=None)


def shardings(tree: Any, mesh: Mesh, *, split: bool) -> Any:
    """The sharding of each array of a tree: of parameters, or a state that has them.

    Args:
      tree: arrays, or their shapes and dtypes.
      mesh: the devices.
      split: whether large arrays are split; otherwise all are whole on every device.
    """

    def of(path, leaf) -> NamedSharding:
        first = int(_is_stacked(path))
        axis = split_axis(leaf.shape[first:], mesh.size) if split else None
        return _along(mesh, axis if axis is None else first + axis)

    return jax.tree_util.tree_map_with_path(of, tree)


def place(tree: Any, mesh: Mesh, *, split: bool) -> Any:
    """Puts arrays of the host's memory on the devices, each device's share alone.

    Every process has the whole arrays.
    """
    return jax.tree.map(
        lambda value, sharding: jax.make_array_from_callback(
            value.shape, sharding, lambda index: value[index]
        ),
        tree,
        shardings(tree, mesh, split=split),
    )


def gathering(function: Callable, mesh: Mesh, *, split: bool) -> Callable:
    """A function (variables, ...) that gathers split parameters where it uses them.

    It is traced within a program for `mesh`. Arrays stacked over blocks are left to
    `gathered_block`. Without `split`: the function itself.
    """
    if not split or mesh.size == 1:
        return function

    def gathers(variables: dict, *args, **kwargs):
        def outside(path, leaf):
            return leaf if _is_stacked(path) else _gathered(leaf, mesh, leaf.dtype)

        variables = jax.tree_util.tree_map_with_path(outside, variables)
        token = _gathering.set(mesh)
        try:
            return function(variables, *args, **kwargs)
        finally:
            _gathering.reset(token)

    return gathers


def is_gathering() -> bool:
    """Whether a function is being traced whose parameters are split."""
    return _gathering.get() is not None


def gathered_block(params: Any, dtype: Any) -> Any:
    """The parameters of one block, of those stacked over blocks, whole on each device.

    To be called where a scan has taken the block's slice. Without effect unless
    `is_gathering`. What is gathered, factors of products, is exchanged in `dtype`; so
    nothing is derived from it that `all_but_gathered` would keep in its place.
    """
    mesh = _gathering.get()
    if mesh is None:
        return params
    return jax.tree.map(lambda leaf: _gathered(leaf, mesh, dtype), params)


def all_but_gathered(primitive: Any, *_, **params) -> bool:
    """A policy of `jax.checkpoint`: the backward pass gathers parameters again."""
    inside = getattr(params.get("call_jaxpr"), "eqns", ())  # of `_gather`
    names = {primitive.name, *(equation.primitive.name for equation in inside)}
    return "sharding_constraint" not in names


def _is_stacked(path: tuple) -> bool:
    return any(getattr(key, "key", None) == BLOCKS for key in path)


def _along(mesh: Mesh, axis: int | None) -> NamedSharding:
    if axis is None:
        return replicated(mesh)
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))


def _gathered(leaf: jax.Array, mesh: Mesh, dtype: Any) -> jax.Array:
    axis = split_axis(leaf.shape, mesh.size)
    if axis is None:
        return leaf
    return _gather(leaf, dtype, _along(mesh, axis))


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _gather(x: jax.Array, dtype: Any, split: NamedSharding) -> jax.Array:
    """`x` in `dtype`, gathered; its gradient is split, so no device sums all of it."""
    x = lax.with_sharding_constraint(x.astype(dtype), split)
    return lax.with_sharding_constraint(x, replicated(split.mesh))


def _forward(x, dtype, split):
    return _gather(x, dtype, split), jnp.zeros((), x.dtype)


def _backward(dtype, split, like, gradient):
    gradient = lax.with_sharding_constraint(gradient, split)
    return (gradient.astype(like.dtype),)


_gather.defvjp(_forward, _backward)
