"""A command in two processes that are one run, over the loopback interface."""

import os
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT = 240  # seconds; a hang fails


def run_two(
    command: list[str],
    *,
    slurm: bool,
    devices: int = 1,
    meanwhile: Callable[[list[subprocess.Popen]], None] = lambda _: None,
) -> list[subprocess.CompletedProcess]:
    """Runs it twice at the same time: as Slurm does, or with flags.

    `meanwhile` gets the two processes when they have started.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    shared |= {"JAX_NUM_CPU_DEVICES": str(devices)}

    def start(number: int) -> subprocess.Popen:
        flags, environment = [], {}
        if slurm:
            environment = {
                "SLURM_JOB_ID": "1",
                "SLURM_STEP_NODELIST": "localhost",
                "SLURM_NTASKS": "2",
                "SLURM_PROCID": str(number),
                "SLURM_LOCALID": str(number),
                "JAX_COORDINATOR_PORT": str(port),
            }
        else:
            flags = [
                f"--coordinator=localhost:{port}",
                "--num-processes=2",
                f"--process-id={number}",
            ]
        return subprocess.Popen(
            command + flags,
            cwd=ROOT,
            env=shared | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(process: subprocess.Popen) -> subprocess.CompletedProcess:
        try:
            output = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
        return subprocess.CompletedProcess(command, process.returncode, *output)

    processes = [start(number) for number in range(2)]
    with ThreadPoolExecutor() as pool:
        finished = pool.map(finish, processes)
        meanwhile(processes)
        return list(finished)
