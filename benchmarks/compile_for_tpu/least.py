"""The least time of a program whose vector operations matter, by its instructions.

It takes no less than its traffic with the main memory, and no less than its
instructions one after the other, of which each takes the longer of its products and its
vector operations. Gathers, scatters and copies within the core count as nothing.
"""

import dataclasses
import math
from typing import NamedTuple

from benchmarks.compile_for_tpu import hlo
from benchmarks.compile_for_tpu.chips import CHIPS, Chip
from benchmarks.compile_for_tpu.traffic import moved

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


class Least(NamedTuple):
    """Seconds that a program needs at least: of each part, and of the whole."""

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


def least_time(module: hlo.Module, chip: Chip, loops: list[float]) -> Least:
    """The least time of a program on a chip.

    `loops` has the number of runs of each loop for which the text has none, in the
    order of the text.

    Raises:
      ValueError: there are more or fewer such loops.
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
    unknown = [
        (name, each.name)
        for name, computation in module.computations.items()
        for each in computation.values()
        if each.opcode == "while" and module.trips(computation, each) is None
    ]
    if len(unknown) != len(loops):
        raise ValueError(f"{len(unknown)} loops of unknown length, not {len(loops)}")
    runs = dict(zip(unknown, loops, strict=True))
    return dataclasses.replace(
        module,
        computations={
            name: {
                key: _loop(each, runs[name, key]) if (name, key) in runs else each
                for key, each in computation.items()
            }
            for name, computation in module.computations.items()
        },
    )


def _loop(each: hlo.Instruction, runs: float) -> hlo.Instruction:
    fields = dataclasses.fields(each)
    return _Loop(**{x.name: getattr(each, x.name) for x in fields}, runs=runs)


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
