"""A command in two processes that are one run, over the loopback interface."""

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT = 240  # seconds; a hang fails


def run_two(
    command: list[str], *, slurm: bool, devices: int = 1
) -> list[subprocess.CompletedProcess]:
    """Runs it twice at the same time: as Slurm does, or with flags."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    shared |= {"JAX_NUM_CPU_DEVICES": str(devices)}

    def start(number: int) -> subprocess.CompletedProcess:
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
                "--num_processes=2",
                f"--process_id={number}",
            ]
        return subprocess.run(
            command + flags,
            cwd=ROOT,
            env=shared | environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    with ThreadPoolExecutor() as pool:
        return list(pool.map(start, range(2)))
