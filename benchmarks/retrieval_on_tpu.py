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
from mbnet_jax.retrieval.blocks import all_devices, gallery_rows, query_rows
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
    "| case | queries x gallery x width | dtype | slots | product | ours: products "
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
    """The least times of ours and of the product, and the mean slots of a query.

    Slots are those of matches and of junk that are read, of a block of queries.
    """
    rows = query_rows(case.queries, None)
    block = gallery_rows(case.gallery, case.width, None)
    match, junk = matches_and_junk(*labels_of(np.random.default_rng(0), case), case.rule)
    used = [*used_slots(match, junk, rows)]
    slots = match.indices.shape[1], junk.indices.shape[1]
    blocks = Blocks(rows, block, case.width, *slots, dtype)
    steps = math.ceil(math.ceil(case.gallery / block) / mesh.size)

    def least(traced: jax.stages.Traced, loops: list[int]) -> Least:
        text = compiled(traced, arguments.topology, arguments.cache).text
        return least_time(with_trips(hlo.parse(text), loops), chip)

    programs = ranking(mesh, blocks)
    ours = Least()
    for of_match, of_junk in used:
        passes = [-(-of_match // SLOTS), -(-of_junk // SLOTS)]
        find = least(programs["product and find"], passes)
        count = least(programs["count"], passes[:1])
        ours = ours.plus(find.plus(count).times(steps))
        ours = ours.plus(least(programs["merge"], []))
        ours = ours.plus(least(programs["ranks"], [of_junk]))
    product = least(products(mesh, blocks), []).times(steps * len(used))
    means = np.mean(used, axis=0)
    return ours, product, f"{means[0]:.0f} + {means[1]:.0f}"


def used_slots(match: Lists, junk: Lists, rows: int) -> Iterator[tuple[int, int]]:
    """The most matches and the most junk of a query, for each block of queries."""
    order = np.argsort(-match.counts, kind="stable")
    order = order[match.counts[order] > 0]
    for start in range(0, len(order), rows):
        chosen = order[start : start + rows]
        yield int(match.counts[chosen].max()), int(junk.counts[chosen].max())


def with_trips(module: hlo.Module, loops: list[int]) -> hlo.Module:
    """The module, whose loops of unknown length run as often as given, in order."""
    loops = iter(loops)
    computations = {}
    for name, computation in module.computations.items():
        computations[name] = changed = {}
        for key, instruction in computation.items():
            if instruction.opcode == "while" and instruction.trips() is None:
                trips = f'"known_trip_count":{{"n":"{next(loops)}"}}'
                rest = f"{instruction.rest}, {trips}"
                instruction = dataclasses.replace(instruction, rest=rest)
            changed[key] = instruction
    return dataclasses.replace(module, computations=computations)


def least_time(module: hlo.Module, chip: Chip) -> Least:
    """The least time of a program on a chip."""
    kind = next(name for name, one in CHIPS.items() if one == chip)
    clock = chip.flops / (2 * MATRIX_CELLS[kind])
    total = Least(traffic=sum(row.hbm for row in moved(module)) / chip.hbm_bandwidth)
    for _, instruction, times in module.run():
        flops, operations = _work(module, instruction)
        products, vectors = flops / chip.flops, operations / VECTOR / clock
        own = Least(products, vectors, 0.0, max(products, vectors))
        total = total.plus(own.times(times))
    return total._replace(bound=max(total.bound, total.traffic))


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
