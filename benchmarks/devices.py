"""What devices can do at best, and what a process has used.

python -m benchmarks.devices tells which machine this is.
"""

import platform
import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

# Published dense peaks in TFLOP/s of what JAX calls one device: (bfloat16, float32).
# A float32 product runs as bfloat16 on a TPU and as TF32 from Ampere on, unless a
# program asks for more; Turing and Volta have no bfloat16. TPUs: "peak compute per
# chip" at cloud.google.com/tpu/docs/v3 to v6e. GPUs: NVIDIA's data sheet of each; of
# H100 and L4 it tells the peaks with sparsity, twice these. The first name that begins
# the device's kind counts. What is not here, as other models of one name, has others.
PEAKS = {
    "TPU v3": (61.5, 61.5),  # one of a chip's two cores
    "TPU v4": (275, 275),
    "TPU v5 lite": (197, 197),  # v5e
    "TPU v5": (459, 459),  # v5p
    "TPU v6 lite": (918, 918),  # v6e
    "NVIDIA A100": (312, 156),
    "NVIDIA H100 PCIe": (756, 378),
    "NVIDIA H100 80GB HBM3": (989, 494),  # SXM
    "NVIDIA L4": (121, 60),
    "Tesla T4": (None, 8.1),
    "Tesla V100-SXM2": (None, 15.7),
}


def about_this_machine() -> str:
    """Date, device and version."""
    return (
        f"{date.today()}, {platform.processor() or platform.machine()}, "
        f"{jax.device_count()} x {jax.devices()[0].device_kind}, jax {jax.__version__}"
    )


def run_alone(module: str, *arguments: str) -> str:
    """The last line that the module prints, run by a process of its own.

    Whoever calls this has touched no device: a TPU serves one process at a time.
    """
    command = [sys.executable, "-m", module, *arguments]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return ran.stdout.splitlines()[-1]


def published_peak(kind: str, dtype: str) -> float | None:
    """FLOP/s of a device of `kind`, or None where nothing is published."""
    # "NVIDIA L4" begins "NVIDIA L40", which is another device.
    for name, (bfloat16, float32) in PEAKS.items():
        if kind.startswith(name) and not kind[len(name) :][:1].isdigit():
            tera = {"bfloat16": bfloat16, "float32": float32}[dtype]
            return None if tera is None else tera * 1e12
    return None


def measured_peak(size: int = 2048, repeats: int = 7) -> float:
    """FLOP/s of a large float32 product on the first device."""
    x = jnp.ones((size, size))
    product = jax.jit(jnp.dot).lower(x, x).compile()
    product(x, x).block_until_ready()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        product(x, x).block_until_ready()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / float(np.median(times))


def peak_of_devices(dtype: str) -> float | None:
    """FLOP/s of all devices together: published, or on a CPU measured."""
    devices = jax.devices()
    if devices[0].platform == "cpu":
        return measured_peak()  # the fake devices of a CPU share it
    peak = published_peak(devices[0].device_kind, dtype)
    return None if peak is None else peak * len(devices)


def device_memory() -> int:
    """Peak bytes so far: of the first device, or on a CPU of this process."""
    stats = jax.devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use") or peak_memory()


def forget_peak() -> int:
    """Starts a new peak of this process's memory; what it uses now, in bytes."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    return peak_memory()


def peak_memory() -> int:
    """The greatest memory of this process so far, file pages included, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if "VmHWM" in x)
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(about_this_machine())
