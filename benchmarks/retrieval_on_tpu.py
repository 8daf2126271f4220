"""Bounds the compiled retrieval programs on a TPU against the bare product.

python -m benchmarks.retrieval_on_tpu [--cases ltcc market ...] [--widths 512 2048 ...]
    [--dtypes float32 bfloat16] [--topology v5e:2x4] [--cache DIR]

Prints a line for each case, width and dtype: the least time that one chip needs for all
of its blocks, from the compiled programs, without starting them and without copies from
the host. The bare product is of the same blocks, reduced to the maximum of each row.
Needs libtpu: pip install -r requirements-tpu.txt.
The least time of a program is that of compile_for_tpu/least.py.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from benchmarks.compile_for_tpu import hlo
from benchmarks.compile_for_tpu.cache import compiled
from benchmarks.compile_for_tpu.chips import Chip, chip_of
from benchmarks.compile_for_tpu.least import MATRIX_CELLS, Least, least_time
from benchmarks.compile_for_tpu.programs import Blocks, products, ranking
from benchmarks.compile_for_tpu.topology import mesh_of
from benchmarks.retrieval import CASES, Case, labels_of
from mbnet_jax.files import cache_folder
from mbnet_jax.retrieval.blocks import (
    all_devices,
    gallery_rows,
    power_of_two,
    query_rows,
)
from mbnet_jax.retrieval.labels import Lists, matches_and_junk
from mbnet_jax.retrieval.passes import LANES, SLOTS

COMPARED = ("ltcc", "prcc", "market", "msmt17")
HEADER = (
    "| case | queries x gallery x width | dtype | passes | product | ours: products "
    "| vectors | traffic | bound | ratio |"
)


def main() -> None:
    """Parses the command line; bad input ends in a one-line message."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=COMPARED, default=COMPARED)
    parser.add_argument("--widths", nargs="+", type=int, help="None: the case's own")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--topology", default="v5e:1x1")
    parser.add_argument("--cache", type=Path, default=cache_folder("tpu"))
    arguments = parser.parse_args()
    try:
        print(f"{HEADER}\n|{'---|' * (HEADER.count('|') - 1)}")
        for text in lines(arguments):
            print(text, flush=True)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def lines(arguments) -> Iterator[str]:
    """The lines of the table."""
    chip = chip_of(arguments.topology)
    if arguments.topology.partition(":")[0] not in MATRIX_CELLS:
        raise ValueError(f"--topology: give a slice of {', '.join(MATRIX_CELLS)}")
    mesh = all_devices(mesh_of(arguments.topology))
    for name in arguments.cases:
        for width in arguments.widths or [CASES[name].width]:
            case = CASES[name]._replace(width=width)
            for dtype in arguments.dtypes:
                ours, product, slots = compare(case, dtype, mesh, chip, arguments)
                yield (
                    f"| {name} | {case.queries:,} x {case.gallery:,} x {width:,} "
                    f"| {dtype} | {slots} | {_ms(product.bound)} "
                    f"| {_ms(ours.products)} | {_ms(ours.vectors)} "
                    f"| {_ms(ours.traffic)} | {_ms(ours.bound)} "
                    f"| {ours.bound / product.bound:.2f} |"
                )


def compare(
    case: Case, dtype: str, mesh: Mesh, chip: Chip, arguments
) -> tuple[Least, Least, str]:
    """The least times of ours and of the product; the passes that count and read."""
    rows = query_rows(case.queries, None)
    block = gallery_rows(case.gallery, case.width, None)
    labels = labels_of(np.random.default_rng(0), case)
    match, junk = matches_and_junk(*labels, case.rule)
    passes = [*passes_of(match, junk, rows, block)]
    slots = match.indices.shape[1], junk.indices.shape[1]
    longest = power_of_two(SLOTS * max(each.longest for each in passes))
    blocks = Blocks(rows, block, case.width, *slots, longest, dtype)
    # In each step, every chip has one block.
    steps = math.ceil(case.gallery / block / mesh.size)

    def least(traced: jax.stages.Traced, loops: list[float]) -> Least:
        text = compiled(traced, arguments.topology, arguments.cache).text
        return least_time(hlo.parse(text), chip, loops)

    programs, groups = ranking(mesh, blocks), max(rows // LANES, 1)
    ours = Least()
    for each in passes:
        # Loops that are in another one come first.
        placed = SLOTS * each.read
        find = least(programs["product and find"], [each.read, groups, placed])
        count = least(programs["count"], [each.counted, groups])
        ours = ours.plus(find.plus(count).times(steps))
        ours = ours.plus(least(programs["merge"], []))
        ours = ours.plus(least(programs["ranks"], [each.junk]))
    product = least(products(mesh, blocks), []).times(steps * len(passes))
    means = np.mean(passes, axis=0)
    return ours, product, f"{means[0]:.1f}, {means[1]:.1f}"


class Passes(NamedTuple):
    """How often the programs go through a block, for one block of queries.

    counted: passes that count, `SLOTS` matches in each; the mean over the `LANES`
      queries that have them together.
    read: passes that read, `SLOTS` items in each; also the mean over gallery blocks.
    longest: the most of `read`.
    junk: slots of junk.
    """

    counted: float
    read: float
    longest: int
    junk: int


def passes_of(match: Lists, junk: Lists, rows: int, block: int) -> Iterator[Passes]:
    """The passes of each block of queries, in the order of `retrieval_metrics`."""
    order = np.argsort(-match.counts, kind="stable")
    order = order[match.counts[order] > 0]
    index = np.hstack([match.indices, junk.indices])
    for start in range(0, len(order), rows):
        chosen = order[start : start + rows]
        row, slot = np.nonzero(index[chosen] >= 0)
        pairs = np.zeros((rows, index.max() // block + 1), int)
        np.add.at(pairs, (row, index[chosen][row, slot] // block), 1)
        counts = np.zeros(rows, int)
        counts[: len(chosen)] = match.counts[chosen]
        lanes = min(rows, LANES)
        read = -(-pairs.reshape(-1, lanes, pairs.shape[1]).max(axis=1) // SLOTS)
        counted = -(-counts.reshape(-1, lanes).max(axis=1) // SLOTS)
        most_junk = junk.counts[chosen].max()
        yield Passes(counted.mean(), read.mean(), int(read.max()), int(most_junk))


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"


if __name__ == "__main__":
    main()
