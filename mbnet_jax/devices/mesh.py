"""The device mesh: one axis, `data`, over which batches are split."""

import os

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "data"


def make_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """Returns a 1-D mesh over `devices`; over all devices if None.

    Raises:
      ValueError: if jax finds no device, as with an unknown name in JAX_PLATFORMS.
    """
    try:
        found = jax.devices() if devices is None else devices
    except RuntimeError as error:
        raise ValueError(
            f"jax can use no device ({error}); JAX_PLATFORMS is "
            f"{os.environ.get('JAX_PLATFORMS', '')!r}: correct or unset it"
        ) from error
    return Mesh(np.array(found), (AXIS,))


def check_mesh(mesh: Mesh) -> None:
    """Refuses what is no mesh of `make_mesh`.

    Raises:
      ValueError: naming the argument.
    """
    if not isinstance(mesh, Mesh) or mesh.axis_names != (AXIS,):
        raise ValueError(
            f"mesh={str(mesh)[:60]} must be a mesh of the axis {AXIS!r}, as "
            "mbnet_jax.devices.mesh.make_mesh returns it"
        )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Returns the sharding that splits the first axis over the devices."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding that keeps the whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def check_divisible(field: str, size: int, mesh: Mesh) -> None:
    """Checks that a batch can be split evenly over the devices.

    Args:
      field: the config field that holds the batch size, or a quotient of fields,
        for the message.
      size: the batch size.
      mesh: the devices.

    Raises:
      ValueError: if `size` is not a multiple of the number of devices.
    """
    if size % mesh.size:
        near = -(-size // mesh.size) * mesh.size
        raise ValueError(
            f"{field}={size} must be a multiple of the {mesh.size} devices in use"
            + (f"; for example --config.{field}={near}" if "/" not in field else "")
        )
