"""Compares compiled retrieval programs with the bare product, for a TPU that is not there.

python -m benchmarks.retrieval_on_tpu [--cases ltcc market ...] [--widths 512 2048 ...]
    [--dtypes float32 bfloat16] [--topology v5e:2x4] [--cache DIR]

Prints a line for each case, width and dtype: the least time that one chip needs for all
of its blocks, from the compiled programs, without starting them and without copies from
the host. The bare product is of the same blocks, reduced to the maximum of each row.
Needs libtpu: pip install -r requirements-tpu.txt.

A program takes no less than its traffic with the main memory, and no less than its
instructions one after the other, of which each takes the longer of its products (six
passes in float32) and its vector operations. Gathers and scatters count as nothing.
"""

import argparse
import dataclasses
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
from benchmarks.compile_for_tpu.chips import CHIPS, Chip, chip_of
from benchmarks.compile_for_tpu.programs import Blocks, products, ranking
from benchmarks.compile_for_tpu.topology import mesh_of
from benchmarks.compile_for_tpu.traffic import moved
from benchmarks.retrieval import CASES, Case, labels_of
from mbnet_jax.files import cache_folder
from mbnet_jax.retrieval.blocks import (
    all_devices,
    gallery_rows,
    power_of_two,
    query_rows,
)
from mbnet_jax.retrieval.labels import Lists, matches_and_junk
from mbnet_jax.retrieval.passes import SLOTS

COMPARED = ("ltcc", "prcc", "market", "msmt17")
# Operations of the vector units in a cycle: four on 8 x 128 lanes, as the compiler's
# schedules have it. Clocks follow from the peak: a multiply-add in each of a matrix
# unit's cells in a cycle.
VECTOR = 4 * 8 * 128
MATRIX_CELLS = {"v5e": 4 * 128 * 128}
# Products of bfloat16 that make up one of float32 in full precision.
PASSES = 6
_VECTOR_OPERATIONS = {
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "negate", "abs"),
    *("and", "or", "xor", "not", "compare", "select", "convert", "sqrt", "floor"),
    *("shift-left", "shift-right-logical", "shift-right-arithmetic", "clamp", "sign"),
}
HEADER = (
    "| case | queries x gallery x width | dtype | passes | product | ours: products "
    "| vectors | traffic | bound | ratio |"
)


class Least(NamedTuple):
    """Seconds that a program needs at least; see the module's text."""

    products: float = 0.0
    vectors: float = 0.0
    traffic: float = 0.0
    bound: float = 0.0

    def times(self, number: float) -> "Least":
        """That of several runs."""
        return Least(*(number * seconds for seconds in self))

    def plus(self, other: "Least") -> "Least":
        """That of both, one after the other."""
        return Least(*(a + b for a, b in zip(self, other, strict=True)))


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
    """The least times of ours and of the product, and the passes that count and read."""
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

    programs = ranking(mesh, blocks)
    ours = Least()
    for each in passes:
        find = least(programs["product and find"], [each.read, SLOTS * each.read])
        count = least(programs["count"], [each.counted])
        ours = ours.plus(find.plus(count).times(steps))
        ours = ours.plus(least(programs["merge"], []))
        ours = ours.plus(least(programs["ranks"], [each.junk]))
    product = least(products(mesh, blocks), []).times(steps * len(passes))
    means = np.mean(passes, axis=0)
    return ours, product, f"{means[0]:.1f}, {means[1]:.1f}"


class Passes(NamedTuple):
    """How often the programs go through a block, for one block of queries.

    counted: passes that count, `SLOTS` matches in each.
    read: passes that read, `SLOTS` items in each; the mean over the gallery's blocks.
    longest: the most of `read`.
    junk: slots of junk.
    """

    counted: int
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
        pairs = np.zeros((len(chosen), index.max() // block + 1), int)
        np.add.at(pairs, (row, index[chosen][row, slot] // block), 1)
        read = -(-pairs.max(axis=0) // SLOTS)
        counted = -(-match.counts[chosen].max() // SLOTS)
        most_junk = junk.counts[chosen].max()
        yield Passes(int(counted), read.mean(), int(read.max()), int(most_junk))


def least_time(module: hlo.Module, chip: Chip, loops: list[float]) -> Least:
    """The least time of a program on a chip.

    `loops` has the number of runs of each loop for which the compiler does not know it,
    in their order.
    """
    module = _with_trips(module, loops)
    kind = next(name for name, one in CHIPS.items() if one == chip)
    clock = chip.flops / (2 * MATRIX_CELLS[kind])
    total = Least(traffic=sum(row.hbm for row in moved(module)) / chip.hbm_bandwidth)
    for _, instruction, times in module.run():
        flops, operations = _work(module, instruction)
        products, vectors = flops / chip.flops, operations / VECTOR / clock
        own = Least(products, vectors, 0.0, max(products, vectors))
        total = total.plus(own.times(times))
    return total._replace(bound=max(total.bound, total.traffic))


def _with_trips(module: hlo.Module, loops: list[float]) -> hlo.Module:
    remaining, computations = iter(loops), {}
    for name, computation in module.computations.items():
        computations[name] = changed = {}
        for key, instruction in computation.items():
            if instruction.opcode == "while" and instruction.trips() is None:
                instruction = _Loop(**vars(instruction), runs=next(remaining))
            changed[key] = instruction
    return dataclasses.replace(module, computations=computations)


@dataclasses.dataclass(frozen=True)
class _Loop(hlo.Instruction):
    """A loop that is known to run `runs` times, on average."""

    runs: float

    def trips(self) -> float:
        return self.runs


def _work(module: hlo.Module, instruction: hlo.Instruction) -> tuple[float, float]:
    """FLOP of products, in passes of bfloat16, and vector operations on elements."""
    if instruction.opcode != "fusion":
        return _own_work({instruction.name: instruction}, instruction)
    inner = module.computations[instruction.called("calls")]
    parts = [
        _work(module, one) if one.opcode == "fusion" else _own_work(inner, one)
        for one in inner.values()
    ]
    return sum(part[0] for part in parts), sum(part[1] for part in parts)


def _own_work(inner: dict, one: hlo.Instruction) -> tuple[float, float]:
    size = math.prod(one.arrays[0].dims) if one.arrays else 0
    operands = [inner[name].arrays[0] for name in one.operands if name in inner]
    if one.opcode == "convolution":
        left, right = (math.prod(array.dims) for array in operands)
        full = operands[0].dtype == "f32" and "highest" in one.rest
        # [B, D] by [G, D]: the sizes of both and of the result have D twice, B, G too.
        return 2 * math.sqrt(left * right * size) * (PASSES if full else 1), 0.0
    if one.opcode == "reduce" and operands:
        return 0.0, float(math.prod(operands[0].dims))
    return 0.0, float(size) if one.opcode in _VECTOR_OPERATIONS else 0.0


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"


if __name__ == "__main__":
    main()
