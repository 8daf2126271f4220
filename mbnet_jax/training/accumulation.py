"""Gradient accumulation: a batch that does not fit, in micro-batches that do.

Micro-batch m of n is the m-th n-th of the sampler's batch: P / n identities with all
their K images. Each passes through the network by itself, with batch norm's statistics
and losses (the triplets among them) of its own images; the gradient of the step is the
mean over the micro-batches. So n micro-batches are not one large batch: they are n
small ones that share a step.
"""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from mbnet_jax.devices.mesh import AXIS, check_divisible


def check_micro_batches(config: ConfigDict, mesh: Mesh) -> None:
    """Refuses a `config.train` whose batch does not split into whole micro-batches.

    Raises:
      ValueError: naming the fields, if identities would be cut in two or stand alone
        (the triplet loss needs another person), or devices get unequal shares.
    """
    n, batch_size = config.accumulate, config.batch_size
    if n > 1 and (
        batch_size % (n * config.images_per_identity)
        or batch_size // n < 2 * config.images_per_identity
    ):
        raise ValueError(
            f"train.batch_size={batch_size} does not split into "
            f"train.accumulate={n} micro-batches of at least 2 whole identities with "
            f"train.images_per_identity={config.images_per_identity} images each"
        )
    field = "train.batch_size"
    if n > 1:
        field += f"/train.accumulate={batch_size}/{n}"
    check_divisible(field, batch_size // n, mesh)


def order_on_devices(batch_size: int, n: int, devices: int) -> np.ndarray:
    """Which row of the sampler's batch is each row of the sharded one, int [B].

    Each device has its share of every micro-batch, in turn, so that none of the
    images moves when the batch is split.
    """
    rows = np.arange(batch_size).reshape(n, devices, -1)
    return rows.swapaxes(0, 1).ravel()


def micro_batches(batch: jax.Array, n: int, mesh: Mesh) -> jax.Array:
    """[B, ...], ordered by `order_on_devices`, to micro-batches [n, B / n, ...]."""
    shares = batch.reshape(mesh.size, n, -1, *batch.shape[1:])
    batches = shares.swapaxes(0, 1).reshape(n, -1, *batch.shape[1:])
    sharding = NamedSharding(mesh, PartitionSpec(None, AXIS))
    return jax.lax.with_sharding_constraint(batches, sharding)
