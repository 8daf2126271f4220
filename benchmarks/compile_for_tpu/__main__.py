"""Compiles for TPUs without one.

python -m benchmarks.compile_for_tpu --config configs/prcc.py --where
    [--topologies v5e:2x4] [--batch_sizes 8] [--config.FIELD=VALUE ...]
"""

import argparse
import sys
import time

from benchmarks.compile_for_tpu import programs
from benchmarks.compile_for_tpu.topology import mesh_of
from benchmarks.compile_for_tpu.where import where
from mbnet_jax.commands.cli import split
from mbnet_jax.config import read_config
from mbnet_jax.overrides import FLAG


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--topologies", nargs="+", default=["v5e:2x4"])
    parser.add_argument("--batch_sizes", nargs="+", type=int, default=[8])
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--program", default="step", choices=("step", "embedding"))
    parser.add_argument("--where", action="store_true")
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--out")
    names, given = [], []
    try:
        arguments = parser.parse_args(split(sys.argv[1:], names, given))
        config = read_config(names[0], given, FLAG)
        config.model.dtype = arguments.dtype
        mesh = mesh_of(arguments.topologies[0])
        lower = getattr(programs, arguments.program)
        start = time.perf_counter()
        lowered = lower(config, mesh, arguments.batch_sizes[0])
        executable = lowered.compile()
        cost = executable.cost_analysis()
        print(
            f"{time.perf_counter() - start:.0f} s, {cost['flops'] / 1e9:.0f} GFLOP, "
            f"{cost['bytes accessed'] / 2**30:.2f} GiB accessed"
        )
        text = executable.as_text()
        if arguments.out:
            open(arguments.out, "w").write(text)
        for line in where(text, arguments.depth):
            print(line)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
