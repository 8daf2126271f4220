"""Running one program as several processes: on a TPU pod, under Slurm, or by flags.

Every process runs the same command on its own devices. The filesystem is shared: all
processes see the same data and the same run folder.
"""

import contextlib
import http.client
import os
import re
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
from mbnet_jax.refusals import shown

# The variables by which jax recognises a process of a Slurm step.
_SLURM = (
    "SLURM_JOB_ID",
    "SLURM_STEP_NODELIST",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
)
_METADATA = "metadata.google.internal"  # resolves on every Google Cloud machine
_JOIN_SECONDS = 300
_MOST_PROCESSES = 65536
# All processes meet before they exit; a longer wait means that another one failed.
_SHUTDOWN_SECONDS = 30

Result = TypeVar("Result")


@contextlib.contextmanager
def joined(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> Iterator[None]:
    """Runs its body as one process of a cluster, or alone if there is no cluster.

    If all three arguments are None, the cluster is detected from the environment:
    Slurm with more than one task, or a TPU pod with more than one host. Processes
    other than 0 print errors only. Enter this before jax initialises a device.

    Args:
      coordinator: address of process 0, "host:port", with a free port.
      num_processes: number of processes.
      process_id: index of this process, from 0.

    Raises:
      ValueError: if only some of the three are given, or one of them is invalid.
      ConnectionError: if process 0 cannot be reached.
    """
    given = {
        "coordinator": coordinator,
        "num_processes": num_processes,
        "process_id": process_id,
    }
    # Bounded, so that a process that has died does not hold up the others.
    limits = {
        "initialization_timeout": _JOIN_SECONDS,
        "shutdown_timeout_seconds": _SHUTDOWN_SECONDS,
    }
    # jax would intercept SIGTERM, which the training loop handles itself.
    jax.config.update("jax_enable_preemption_service", False)
    if any(value is not None for value in given.values()):
        _check(given)
        _announce(num_processes, f"{coordinator}, as process {process_id}")
        if process_id:
            _wait_for(coordinator)
        _initialize(
            coordinator,
            num_processes,
            process_id,
            cluster_detection_method="deactivate",
            **limits,
        )
    elif (found := detected_processes()) > 1:
        _announce(found, "the address given by the environment")
        _initialize(**limits)
    if not jax.distributed.is_initialized():
        yield
        return
    # On CPUs, the first collective of a group of devices times out after 30 s; later
    # ones wait as long as necessary. So both groups run their first one here, where
    # all processes arrive together: Orbax's group, and all devices.
    multihost_utils.sync_global_devices("joined")
    _sum_over_devices(0)
    with contextlib.ExitStack() as stack:
        if jax.process_index():
            silence = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        yield
    _sum_over_devices(0)  # no process leaves before all are done


def _initialize(*arguments, **limits) -> None:
    try:
        jax.distributed.initialize(*arguments, **limits)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(
            f"this process cannot join the others ({error}); correct the address of "
            "process 0, or the variables of the cluster in the environment"
        ) from error


def detected_processes() -> int:
    """Returns the number of processes by the environment; 1 if it names none.

    Raises:
      ValueError: naming a variable whose value is not a number of processes.
    """
    environment = os.environ
    if all(name in environment for name in _SLURM):
        tasks = _number("SLURM_NTASKS", 1, _MOST_PROCESSES)
        # jax reads these itself.
        _number("SLURM_PROCID", 0, tasks - 1)
        _number("SLURM_LOCALID", 0, tasks - 1)
        _number("SLURM_JOB_ID", 0, 2**63)
        return tasks
    # jax adds the platform itself if it finds a TPU's chips and driver.
    if "tpu" not in (jax.config.jax_platforms or ""):
        return 1
    hosts = environment.get("TPU_PROCESS_ADDRESSES") or environment.get(
        "TPU_WORKER_HOSTNAMES"
    )
    # Set on machines without a TPU metadata server, such as Colab.
    if not hosts and "TPU_SKIP_MDS_QUERY" not in environment:
        hosts = _metadata("worker-network-endpoints")
    slices = 1
    if environment.get("MEGASCALE_NUM_SLICES"):
        slices = _number("MEGASCALE_NUM_SLICES", 1, _MOST_PROCESSES)
    return slices * (hosts.count(",") + 1 if hosts else 1)


def _number(name: str, low: int, high: int) -> int:
    """The whole number in an environment variable."""
    text = os.environ[name]
    if (
        text.isascii()
        and text.isdigit()
        and len(text) < 20
        and low <= int(text) <= high
    ):
        return int(text)
    raise ValueError(
        f"the environment variable {name}={shown(text)} must be a whole number from "
        f"{low} to {high}; correct it, or unset the variables of the cluster"
    )


def first_process_first(make: Callable[[], Result]) -> Result:
    """Calls `make` in process 0, then in all the others; returns its result.

    Use it for functions that write to the shared filesystem if nobody has yet.

    Raises:
      ValueError: in the other processes, if process 0 failed. Process 0 raises its
        own error.
    """
    if jax.process_count() == 1:
        return make()
    result = error = None
    if jax.process_index() == 0:
        try:
            result = make()
        except Exception as caught:  # raised below, after the others were notified
            error = caught
    failed = _sum_over_devices(error is not None)
    if error is not None:
        raise error
    if failed:
        raise ValueError("process 0 failed; its message says why")
    return result if jax.process_index() == 0 else make()


def _sum_over_devices(value: int) -> int:
    """Sums each process's `value` over its devices; waits for all processes."""
    mesh = make_mesh()
    values = np.full(jax.local_device_count(), value, np.int32)
    split = jax.make_array_from_process_local_data(
        batch_sharding(mesh), values, (mesh.size,)
    )
    return int(jax.jit(jnp.sum, out_shardings=replicated(mesh))(split))


def _check(given: dict) -> None:
    missing = [
        f"--{name.replace('_', '-')}" for name, value in given.items() if value is None
    ]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} must be given too: a cluster is joined with "
            "--coordinator=HOST:PORT --num-processes=N --process-id=0 to N-1, or, on "
            "Slurm and TPU pods, with none of them"
        )
    host, _, port = given["coordinator"].rpartition(":")
    number = int(port) if re.fullmatch("[0-9]{1,5}", port) else 0
    if not host or not 0 < number < 65536:
        raise ValueError(
            f"--coordinator={given['coordinator']} must be HOST:PORT, where process 0 "
            "can be reached"
        )
    if not 1 <= given["num_processes"] <= _MOST_PROCESSES:
        raise ValueError(
            f"--num-processes={shown(given['num_processes'])} must be from 1 to "
            f"{_MOST_PROCESSES}"
        )
    if not 0 <= given["process_id"] < given["num_processes"]:
        raise ValueError(
            f"--process-id={shown(given['process_id'])} must be one of 0 to "
            f"{given['num_processes'] - 1}, as there are "
            f"--num-processes={given['num_processes']}"
        )


def _announce(processes: int, where: str) -> None:
    # If others do not join, jax ends the process itself, with a stack trace.
    print(
        f"joining {processes} processes at {where}; waiting up to {_JOIN_SECONDS} s",
        file=sys.stderr,
        flush=True,
    )


def _wait_for(coordinator: str) -> None:
    """Returns once process 0 accepts connections."""
    host, _, port = coordinator.rpartition(":")
    deadline = time.monotonic() + _JOIN_SECONDS
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return
        except UnicodeError as error:
            raise ValueError(
                f"--coordinator={coordinator} has no name of a host ({error})"
            ) from error
        except OSError as error:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"no process 0 at --coordinator={coordinator} within "
                    f"{_JOIN_SECONDS} s ({error}); start it there, with --process-id=0"
                ) from error
        time.sleep(1)


def _metadata(name: str) -> str:
    """Returns an attribute of this Google Cloud machine; "" if it has none."""
    server = os.environ.get("GCE_METADATA_IP", _METADATA)  # as jax reads it
    url = f"http://{server}/computeMetadata/v1/instance/attributes/{name}"
    try:
        request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.read(1 << 20).decode()
    except (OSError, ValueError, http.client.HTTPException):
        return ""
