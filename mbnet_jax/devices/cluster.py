"""Several processes as one program: on a TPU pod, under Slurm, or by flags.

Every process runs the same command on its own devices, and all see one folder of
data and one of runs: the filesystem is shared.
"""

import contextlib
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from mbnet_jax.devices.mesh import batch_sharding, make_mesh, replicated

# What jax wants to see before it takes a process for one of a Slurm step.
_SLURM = (
    "SLURM_JOB_ID",
    "SLURM_STEP_NODELIST",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
)
_METADATA = "metadata.google.internal"  # answers on any machine of Google Cloud
_JOIN_SECONDS = 300
# All meet before they end; who waits longer than this knows that another failed.
_END_SECONDS = 30

Made = TypeVar("Made")


@contextlib.contextmanager
def joined(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> Iterator[None]:
    """Runs its body as one process of a cluster, or alone where there is none.

    With None for all three, the environment tells: Slurm with more than one task, or
    a TPU pod of more than one host. In processes other than 0 nothing is printed but
    errors. To be entered before jax meets a device.

    Args:
      coordinator: where process 0 can be reached, "host:port", the port free there.
      num_processes: how many there are.
      process_id: which of them this is, from 0.

    Raises:
      ValueError: for some of the three without the others, or wrong ones.
      ConnectionError: if process 0 cannot be reached.
    """
    given = {
        "coordinator": coordinator,
        "num_processes": num_processes,
        "process_id": process_id,
    }
    # To wait for a process that has died would take as long as the longest run.
    limits = {
        "initialization_timeout": _JOIN_SECONDS,
        "shutdown_timeout_seconds": _END_SECONDS,
    }
    # jax would keep SIGTERM to itself; `training.interruption` sees to it.
    jax.config.update("jax_enable_preemption_service", False)
    if any(value is not None for value in given.values()):
        _check(given)
        _announce(num_processes, f"{coordinator}, as process {process_id}")
        if process_id:
            _wait_for(coordinator)
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            cluster_detection_method="deactivate",
            **limits,
        )
    elif (found := processes_around()) > 1:
        _announce(found, "an address that the environment gives")
        jax.distributed.initialize(**limits)
    if not jax.distributed.is_initialized():
        yield
        return
    # CPU devices give up where the first talk of a group of them is not answered
    # within 30 s, and wait for as long as it takes later. So both groups that are
    # going to talk do it now: Orbax's, and all devices.
    multihost_utils.sync_global_devices("joined")
    _sum_over_devices(0)
    with contextlib.ExitStack() as stack:
        if jax.process_index():
            silence = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        yield
    _sum_over_devices(0)  # none leaves before the last is done


def processes_around() -> int:
    """How many processes the environment says there are; 1 if it says nothing."""
    environment = os.environ
    if all(name in environment for name in _SLURM):
        return int(environment["SLURM_NTASKS"])
    # Where it finds a TPU's chips and driver, jax adds the platform itself.
    if "tpu" not in (jax.config.jax_platforms or ""):
        return 1
    hosts = environment.get("TPU_PROCESS_ADDRESSES") or environment.get(
        "TPU_WORKER_HOSTNAMES"
    )
    # Set where there is no metadata server of a TPU, on Colab among others.
    if not hosts and "TPU_SKIP_MDS_QUERY" not in environment:
        hosts = _metadata("worker-network-endpoints")
    slices = int(environment.get("MEGASCALE_NUM_SLICES") or 1)
    return slices * (hosts.count(",") + 1 if hosts else 1)


def first_process_first(make: Callable[[], Made]) -> Made:
    """What `make` returns, called in process 0 and then in all the others.

    For what is written to the shared filesystem by whoever comes first.

    Raises:
      ValueError: in the others, if process 0 failed; there, its own error.
    """
    if jax.process_count() == 1:
        return make()
    made = error = None
    if jax.process_index() == 0:
        try:
            made = make()
        except Exception as caught:  # raised below, when the others know
            error = caught
    failed = _sum_over_devices(error is not None)
    if error is not None:
        raise error
    if failed:
        raise ValueError("process 0 failed; its message says why")
    return made if jax.process_index() == 0 else make()


def _sum_over_devices(value: int) -> int:
    """Each process's `value` on each of its devices; waits for all processes."""
    mesh = make_mesh()
    values = np.full(jax.local_device_count(), value, np.int32)
    split = jax.make_array_from_process_local_data(
        batch_sharding(mesh), values, (mesh.size,)
    )
    return int(jax.jit(jnp.sum, out_shardings=replicated(mesh))(split))


def _check(given: dict) -> None:
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} must be given too: a cluster is joined with "
            "--coordinator=HOST:PORT --num_processes=N --process_id=0 to N-1, or, on "
            "Slurm and TPU pods, with none of them"
        )
    host, _, port = given["coordinator"].rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(
            f"--coordinator={given['coordinator']} must be HOST:PORT, where process 0 "
            "can be reached"
        )
    if not 0 <= given["process_id"] < given["num_processes"]:
        raise ValueError(
            f"--process_id={given['process_id']} must be one of 0 to "
            f"{given['num_processes'] - 1}, as there are "
            f"--num_processes={given['num_processes']}"
        )


def _announce(processes: int, where: str) -> None:
    # jax ends the process itself, with a stack trace, where others do not come.
    print(
        f"joining {processes} processes at {where}; waiting up to {_JOIN_SECONDS} s",
        file=sys.stderr,
        flush=True,
    )


def _wait_for(coordinator: str) -> None:
    """Returns when process 0 listens."""
    host, _, port = coordinator.rpartition(":")
    deadline = time.monotonic() + _JOIN_SECONDS
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"no process 0 at --coordinator={coordinator} within "
                    f"{_JOIN_SECONDS} s ({error}); start it there, with --process_id=0"
                ) from error
        time.sleep(1)


def _metadata(name: str) -> str:
    """An attribute of this machine of Google Cloud; empty if there is none."""
    server = os.environ.get("GCE_METADATA_IP", _METADATA)  # as jax reads it
    request = urllib.request.Request(
        f"http://{server}/computeMetadata/v1/instance/attributes/{name}",
        headers={"Metadata-Flavor": "Google"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""
