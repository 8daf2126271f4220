"""Times the embedding of images, without reading them.

python -m benchmarks.embedding [--configs prcc] [--batch_sizes 64 256]
    [--dtypes float32 bfloat16] [--repeats 10]

Images are random, and lie on the devices. An embedding is what a test computes: that of
the image and of its mirror image, unless the config says otherwise. Times are medians
after warm-up; memory is what the compiler plans for the program with its arguments.
"""

import argparse
import time

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks.devices import about_this_machine, counted_flops, peak_of_devices
from benchmarks.train_step import CLASSES, WARM_UP, load_config, random_batch
from mbnet_jax.devices.mesh import make_mesh, replicated
from mbnet_jax.evaluation.embed_function import embed_function, make_embed
from mbnet_jax.runs.network import init_variables, make_model

HEADER = (
    "| config | image | batch | dtype | images/s | a batch | compile "
    "| GFLOP an image | utilisation | memory |"
)


def main() -> None:
    """Prints a row for each config, precision and batch size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configs", nargs="+", default=["prcc"])
    parser.add_argument("--batch_sizes", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    print(about_this_machine())
    print(f"\n{HEADER}\n|{'---|' * (HEADER.count('|') - 1)}")
    for name in arguments.configs:
        for dtype in arguments.dtypes:
            for size in arguments.batch_sizes:
                config = load_config(name, size, dtype)
                print(measure(config, arguments.repeats), flush=True)


def measure(config: ConfigDict, repeats: int) -> str:
    """Measures batches of `train.batch_size` images; returns a row of the table."""
    mesh = make_mesh()
    model = make_model(config.model, CLASSES)
    variables = jax.jit(
        lambda: init_variables(config, model), out_shardings=replicated(mesh)
    )()
    batch = random_batch(config)
    arguments = variables, batch["image"], batch["parsing"]
    start = time.perf_counter()
    program = make_embed(config, model, mesh).lower(*arguments).compile()
    compiling = time.perf_counter() - start
    flops = counted_flops(embed_function(config, model), *arguments)
    times = []
    for _ in range(WARM_UP + repeats):
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        times.append(time.perf_counter() - start)
    seconds, rows = float(np.median(times[WARM_UP:])), config.train.batch_size
    peak, planned = peak_of_devices(config.model.dtype), program.memory_analysis()
    used = planned.temp_size_in_bytes + planned.argument_size_in_bytes
    cells = [
        f"| {config.name}",
        f"{config.data.height}x{config.data.width}",
        str(rows),
        config.model.dtype,
        f"{rows / seconds:,.1f}",
        f"{1e3 * seconds:,.1f} ms",
        f"{compiling:.1f} s",
        f"{flops / rows / 1e9:,.1f}",
        "-" if peak is None else f"{100 * flops / seconds / peak:.0f} %",
        f"{used / 2**20:,.0f} MiB |",
    ]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
