"""The mesh: one axis, `data`, over all devices; state replicated, batches split."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "data"


def make_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """A 1-D mesh over `devices`, all there are unless given."""
    return Mesh(np.array(jax.devices() if devices is None else devices), (AXIS,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Splits the first axis over the devices."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def check_divisible(field: str, size: int, mesh: Mesh) -> None:
    """Refuses a batch that cannot be split evenly.

    Raises:
      ValueError: naming the config `field`.
    """
    if size % mesh.size:
        raise ValueError(
            f"{field}={size} must be a multiple of the {mesh.size} devices in use"
        )
