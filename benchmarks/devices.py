"""Peak throughput of devices, and peak memory of a process.

python -m benchmarks.devices prints a description of this machine.
"""

import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.compile_for_tpu.loops import repeated_flops

# Published dense peaks in TFLOP/s of what JAX calls one device: (bfloat16, float32).
# A float32 product runs as bfloat16 on a TPU, and as TF32 on GPUs since Ampere, unless
# a program requests more; Turing and Volta have no bfloat16. TPUs: "peak compute per
# chip" at cloud.google.com/tpu/docs/v3 to v6e. GPUs: NVIDIA's data sheets; those of
# H100, H200 and L4 give the peaks with sparsity, twice these. The first name that is a
# prefix of the device's kind counts. Other models of a family have other peaks.
PEAKS = {
    "TPU v3": (61.5, 61.5),  # one of the chip's two cores
    "TPU v4": (275, 275),
    "TPU v5 lite": (197, 197),  # v5e
    "TPU v5": (459, 459),  # v5p
    "TPU v6 lite": (918, 918),  # v6e
    "NVIDIA A100": (312, 156),
    "NVIDIA H100 PCIe": (756, 378),
    "NVIDIA H100 80GB HBM3": (989, 494),  # SXM
    "NVIDIA H200 NVL": (835, 417),
    "NVIDIA H200": (989, 494),  # SXM
    "NVIDIA L4": (121, 60),
    "Tesla T4": (None, 8.1),
    "Tesla V100-SXM2": (None, 15.7),
}


def about_this_machine() -> str:
    """Returns the date, the devices and the version of jax."""
    return (
        f"{date.today()}, {platform.processor() or platform.machine()}, "
        f"{jax.device_count()} x {jax.devices()[0].device_kind}, jax {jax.__version__}"
    )


def run_alone(module: str, *arguments: str) -> str:
    """Runs a module in its own process; returns the last line that it prints.

    The caller must not have initialised a device: a TPU serves one process at a time.

    Raises:
      subprocess.CalledProcessError: if the module fails.
    """
    command = [sys.executable, "-m", module, *arguments]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return ran.stdout.splitlines()[-1]


def published_peak(kind: str, dtype: str) -> float | None:
    """Returns the FLOP/s of a device of `kind`; None if it is not in the table."""
    # "NVIDIA L4" is a prefix of "NVIDIA L40", which is another device.
    for name, (bfloat16, float32) in PEAKS.items():
        if kind.startswith(name) and not kind[len(name) :][:1].isdigit():
            tera = {"bfloat16": bfloat16, "float32": float32}[dtype]
            return None if tera is None else tera * 1e12
    return None


def measured_peak(size: int = 2048, repeats: int = 7) -> float:
    """Measures the FLOP/s of a large float32 product on the first device."""
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
    """Returns the FLOP/s of all devices together: published, or measured on a CPU."""
    devices = jax.devices()
    if devices[0].platform == "cpu":
        return measured_peak()  # the fake devices of a CPU share its cores
    peak = published_peak(devices[0].device_kind, dtype)
    return None if peak is None else peak * len(devices)


def counted_flops(function: Callable, *arguments) -> float:
    """The FLOPs of a function, as XLA counts its program for an accelerator.

    They are those before optimisation: the CPU's own convolutions need fewer. Only the
    CPU's client counts before it compiles, so the function is traced for a CPU. Loops
    of known length count as often as they run.

    Args:
      function: makes no use of a mesh of other devices.
      arguments: arrays, or their shapes.
    """
    cpu = jax.sharding.SingleDeviceSharding(jax.devices("cpu")[0])
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arguments)
    traced = jax.jit(function, in_shardings=cpu, out_shardings=cpu).trace(*shapes)
    once = traced.lower(lowering_platforms=("tpu",)).cost_analysis()["flops"]
    return once + repeated_flops(traced.jaxpr, 1)


def device_memory() -> int:
    """Returns the peak bytes so far of the first device, or of the process on a CPU."""
    stats = jax.devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use") or peak_memory()


def reset_peak_memory() -> int:
    """Resets this process's peak memory; returns what it uses now, in bytes."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    return peak_memory()


def peak_memory() -> int:
    """Returns the peak memory of this process in bytes, mapped file pages included."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if "VmHWM" in x)
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(about_this_machine())
