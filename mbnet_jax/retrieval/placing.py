"""Arrays and programs on the devices of a one-dimensional mesh."""

from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "devices"
# Split along the first axis, a part for each device; or the whole on every device.
SHARDED, WHOLE = PartitionSpec(AXIS), PartitionSpec()


def all_devices(mesh: Mesh | None) -> Mesh:
    """A one-dimensional mesh of `mesh`'s devices, or of all there are."""
    devices = jax.devices() if mesh is None else mesh.devices.reshape(-1)
    return Mesh(np.array(devices), (AXIS,))


def put(array: np.ndarray, mesh: Mesh, spec: PartitionSpec) -> jax.Array:
    """An array that every process has, on the devices of the mesh."""
    sharding = NamedSharding(mesh, spec)
    return jax.make_array_from_callback(array.shape, sharding, array.__getitem__)


def filled(mesh: Mesh, shape: tuple[int, ...], value, dtype) -> jax.Array:
    """`value` in shape [n, *shape], a part on each device."""
    part = np.full((1, *shape), value, dtype)
    sharding = NamedSharding(mesh, SHARDED)
    return jax.make_array_from_callback((mesh.size, *shape), sharding, lambda _: part)


def sharded(mesh: Mesh, function: Callable, in_specs: tuple) -> Callable:
    """Compiles what each device does on its own; every result is SHARDED."""
    return jax.jit(
        jax.shard_map(
            function, mesh=mesh, in_specs=in_specs, out_specs=SHARDED, check_vma=False
        )
    )


# Bytes. JAX makes a CPU use memory that starts elsewhere by copying it.
ALIGNMENT = 64


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """A float32 array, not filled, whose memory a CPU's programs can use as it is."""
    size = 4 * int(np.prod(shape))
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)


def is_aligned(array: np.ndarray) -> bool:
    """Whether a CPU's programs can use its memory as it is, as float32."""
    contiguous = array.flags.c_contiguous and array.dtype == np.float32
    return contiguous and array.ctypes.data % ALIGNMENT == 0
