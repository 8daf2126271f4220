"""Compiles the training step for NVIDIA GPUs, on a machine that has none.

python -m benchmarks.compile_for_gpu --config configs/prcc.py [--gpus 1 8]
    [--batch_sizes 64] [--dtype float32] [--config.FIELD=VALUE ...]

Prints a line for each number of H100 in one machine and of images on each: memory,
arithmetic, traffic, collectives, and the least time by arithmetic and by memory. Needs
jax's plugin of the same version, and CUDA's assembler, but no driver:
pip install jax-cuda12-plugin==VERSION jax-cuda12-pjrt==VERSION nvidia-cuda-nvcc-cu12

The program is not the one that a GPU runs: without a device XLA cannot time the forms
of a convolution or product, and takes the default; what cuDNN needs to work in is not
counted. Traffic has each operand as often as it is used, caches left out.
"""

import sys
import time

import jax
from jax.experimental import topologies
from jax.sharding import Mesh
from ml_collections import ConfigDict

from benchmarks.compile_for_tpu import hlo, programs
from benchmarks.compile_for_tpu.cache import held
from benchmarks.compile_for_tpu.collectives import collectives, counted
from benchmarks.compile_for_tpu.command import new_parser, parsed
from benchmarks.compile_for_tpu.loops import repeated_flops
from benchmarks.compile_for_tpu.traffic import moved
from benchmarks.devices import published_peak
from mbnet_jax.devices.mesh import make_mesh

KIND = "NVIDIA H100 80GB HBM3"
BANDWIDTH = 3.35e12  # bytes/s, NVIDIA's data sheet of the H100 SXM
# What CUDA says of an H100 SXM, in the names of XLA's GpuDeviceInfoProto.
DEVICE = {
    "threads_per_block_limit": 1024,
    "threads_per_warp": 32,
    "threads_per_core_limit": 2048,
    "shared_memory_per_block": 48 * 2**10,
    "shared_memory_per_block_optin": 227 * 2**10,
    "shared_memory_per_core": 228 * 2**10,
    "registers_per_block_limit": 2**16,
    "registers_per_core_limit": 2**16,
    "core_count": 132,
    "fpus_per_core": 128,
    "block_dim_limit_x": 2**31 - 1,
    "block_dim_limit_y": 2**16 - 1,
    "block_dim_limit_z": 2**16 - 1,
    "memory_bandwidth": int(BANDWIDTH),
    "l2_cache_size": 50 * 2**20,
    "clock_rate_ghz": 1.98,
    "device_memory_size": 80 * 10**9,
}
HEADER = (
    "| H100 | images each | memory | GFLOP each | GiB moved each | compute | memory "
    "| collectives | compile |"
)


def main() -> None:
    """Parses the command line; bad input ends in a one-line message."""
    parser = new_parser(__doc__, batch=64)
    parser.add_argument("--gpus", nargs="+", type=int, default=[1])
    try:
        arguments, config = parsed(parser)
        print(f"{HEADER}\n|{'---|' * (HEADER.count('|') - 1)}")
        for gpus in arguments.gpus:
            for batch in arguments.batch_sizes:
                print(line(config, mesh_of(gpus), batch), flush=True)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def mesh_of(gpus: int) -> Mesh:
    """The mesh of several H100 in one machine.

    Raises:
      ValueError: jax has no plugin for CUDA.
    """
    # Nothing runs: what is computed on the way needs the CPU alone.
    jax.config.update("jax_platforms", "cpu")
    fields = "\n".join(f"{name}: {value}" for name, value in DEVICE.items())
    target = (
        f"gpu_device_info {{\n{fields}\ncuda_compute_capability {{ major: 9 }}\n}}\n"
        f'platform_name: "CUDA"\ndevice_description_str: "{KIND}"\n'
        "dnn_version_info { major: 9 minor: 10 }\n"
        "runtime_version { major: 12 minor: 9 }\n"
    )
    try:
        found = topologies.get_topology_desc(
            platform="cuda", target_config=target, topology=f"1x1x{gpus}"
        )
    except Exception as error:  # of several types, none of them documented
        reason = " ".join(str(error).split())[:300]
        version = jax.__version__
        raise ValueError(
            f"jax describes no GPU: {reason}; install what compiling for one needs: "
            f"pip install jax-cuda12-plugin=={version} jax-cuda12-pjrt=={version} "
            "nvidia-cuda-nvcc-cu12"
        ) from error
    return make_mesh(list(found.devices))


def line(config: ConfigDict, mesh: Mesh, batch: int) -> str:
    """Compiles a step with `batch` images on each device; returns its row."""
    traced = programs.step(config, mesh, batch)
    start = time.perf_counter()
    program = traced.lower(lowering_platforms=("cuda",)).compile()
    seconds = time.perf_counter() - start
    # Only the CPU's client counts before it compiles.
    alone = programs.step(config, make_mesh(jax.devices("cpu")[:1]), batch)
    flops = alone.lower(lowering_platforms=("tpu",)).cost_analysis()["flops"]
    flops += repeated_flops(alone.jaxpr, 1)
    module = hlo.parse(program.as_text())
    traffic = sum(row.all for row in moved(module))
    peak = published_peak(KIND, config.model.dtype)
    cells = [
        f"| {mesh.size}",
        str(batch),
        f"{held(program) / 2**30:.2f} GiB",
        f"{flops / 1e9:,.0f}",
        f"{traffic / 2**30:.2f}",
        f"{1e3 * flops / peak:.2f} ms",
        f"{1e3 * traffic / BANDWIDTH:.2f} ms",
        counted(collectives(module, mesh.size)) or "-",
        f"{seconds:.0f} s |",
    ]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
