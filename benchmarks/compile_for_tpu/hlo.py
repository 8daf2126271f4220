"""Reads the text of an optimised HLO module: computations, instructions, arrays.

Only what the other modules of this package ask for is read. The text is that of
`Compiled.as_text()`, one instruction a line.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

# Bits of an element. Types that hold no data (tokens, opaque values) are not listed.
_BITS = {
    **{"pred": 8, "s8": 8, "u8": 8, "s4": 4, "u4": 4, "s2": 2, "u2": 2},
    **{"s16": 16, "u16": 16, "f16": 16, "bf16": 16},
    **{"s32": 32, "u32": 32, "f32": 32, "s64": 64, "u64": 64, "f64": 64, "c64": 64},
    **{"f8e5m2": 8, "f8e4m3": 8, "f8e4m3fn": 8, "f8e4m3b11fnuz": 8, "c128": 128},
}
_ARRAY = re.compile(r"\b([a-z]\w*)\[([0-9,<=]*)\](?:\{([^{}]*)\})?")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_HBM = 0  # memory space of the main memory; others are on the chip's core or host


class Array(NamedTuple):
    """One array: its element type, dimensions, and layout as written."""

    dtype: str
    dims: tuple[int, ...]
    layout: str

    @property
    def size(self) -> int:
        """Bytes of its elements."""
        return math.prod(self.dims) * _BITS[self.dtype] // 8

    @property
    def padded(self) -> int:
        """Bytes that it occupies: its two minor dimensions fill whole tiles."""
        order, _, tiling = self.layout.partition(":")
        tile = re.match(r"T\(([\d,]+)\)", tiling)
        if tile is None:
            return self.size
        # Minor to major.
        dims = [self.dims[int(i)] for i in order.split(",")] if order else []
        tiles = [int(x) for x in tile.group(1).split(",")][::-1]
        dims += [1] * (len(tiles) - len(dims))
        whole = [-(-d // t) * t for d, t in zip(dims, tiles, strict=False)]
        elements = math.prod(whole) * math.prod(dims[len(tiles) :])
        return elements * _BITS[self.dtype] // 8

    @property
    def in_hbm(self) -> bool:
        """Whether it is in the chip's main memory, not in the core's."""
        space = re.search(r"S\((\d+)\)", self.layout)
        return space is None or int(space.group(1)) == _HBM


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    Attributes:
      name, opcode: as written.
      shape: the text of its result's shape.
      operands: names of instructions of the same computation.
      rest: the text after the operands: attributes.
      arguments: the text of the operands.
      root: whether it is the computation's result.
    """

    name: str
    opcode: str
    shape: str
    operands: tuple[str, ...]
    rest: str
    arguments: str
    root: bool

    @functools.cached_property
    def arrays(self) -> list[Array]:
        """The arrays of its result; of a tuple, all that are in it."""
        return arrays(self.shape)

    @functools.cached_property
    def op_name(self) -> str:
        """The path of the JAX operation it comes from; "" if unknown."""
        found = re.search(r'op_name="((?:[^"\\]|\\.)*)"', self.rest)
        return found.group(1).replace("\\'", "'") if found else ""

    def called(self, key: str) -> str:
        """The computation named by an attribute such as `calls`; "" if none."""
        found = re.search(rf"\b{key}=%?([\w.\-]+)", self.rest)
        return found.group(1) if found else ""

    def branches(self) -> list[str]:
        """The computations of a conditional."""
        listed = re.search(r"branch_computations=\{([^}]*)\}", self.rest)
        if listed:
            return re.findall(r"[\w.\-]+", listed.group(1))
        two = (self.called("true_computation"), self.called("false_computation"))
        return [name for name in two if name]

    def cycles(self) -> int:
        """The cycles that the compiler expects it to take; 0 if it does not say."""
        found = re.search(r'"estimated_cycles":"(\d+)"', self.rest)
        return int(found.group(1)) if found else 0

    def trips(self) -> int | None:
        """How often a loop's body runs; None if the compiler does not know."""
        found = re.search(r'"known_trip_count":\{"n":"(\d+)"', self.rest)
        return int(found.group(1)) if found else None


@dataclasses.dataclass(frozen=True)
class Module:
    """The computations of a module, by name; `entry` is the program itself."""

    entry: str
    computations: dict[str, dict[str, Instruction]]

    def instructions(self) -> Iterator[Instruction]:
        """All instructions of all computations."""
        for computation in self.computations.values():
            yield from computation.values()

    def run(
        self, name: str = "", times: int = 1
    ) -> Iterator[tuple[dict[str, Instruction], Instruction, int]]:
        """Instructions that run one after the other: (computation, itself, how often).

        A fusion is one instruction. Bodies of loops count as often as they run, once
        if that is unknown; of a conditional, every branch counts.
        """
        computation = self.computations[name or self.entry]
        for instruction in computation.values():
            yield computation, instruction, times
            inner, often = [], times
            if instruction.opcode == "while":
                inner = [instruction.called("body"), instruction.called("condition")]
                often = times * (self.trips(computation, instruction) or 1)
            elif instruction.opcode == "conditional":
                inner = instruction.branches()
            elif instruction.opcode == "call":
                inner = [instruction.called("to_apply")]
            for callee in inner:
                yield from self.run(callee, often)

    def trips(
        self, computation: dict[str, Instruction], loop: Instruction
    ) -> int | None:
        """How often the body of a loop in `computation` runs; None if that is unknown.

        The compiler says it, or the loop counts from a constant up to another, as
        `lax.scan` does.
        """
        if loop.trips() is not None:
            return loop.trips()
        condition = self.computations.get(loop.called("condition"), {})
        root = next((x for x in condition.values() if x.root), None)
        if root is None or root.opcode != "compare" or "=LT" not in root.rest:
            return None
        counter, limit = (condition.get(name) for name in root.operands)
        place = re.search(r"\bindex=(\d+)", counter.rest if counter else "")
        before = computation.get(loop.operands[0])
        if place is None or before is None or before.opcode != "tuple":
            return None
        first = computation.get(before.operands[int(place.group(1))])
        while first is not None and first.opcode == "copy":
            first = computation.get(first.operands[0])
        ends = [x for x in (first, limit) if x is not None and x.opcode == "constant"]
        if len(ends) < 2:
            return None
        return int(limit.arguments) - int(first.arguments)


def arrays(text: str) -> list[Array]:
    """The arrays that a shape consists of."""
    return [
        Array(dtype, tuple(int(x.lstrip("<=")) for x in dims.split(",") if x), layout)
        for dtype, dims, layout in _ARRAY.findall(text)
        if dtype in _BITS
    ]


def parse(text: str) -> Module:
    """Reads a module.

    Raises:
      ValueError: if it has no entry computation.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if current is None:
            head = _COMPUTATION.match(line)
            if head:
                current = computations[head.group(2)] = {}
                entry = head.group(2) if head.group(1) else entry
        elif line.startswith("}"):
            current = None
        elif found := _INSTRUCTION.match(line):
            instruction = _instruction(found, line)
            current[instruction.name] = instruction
    if not entry:
        raise ValueError("the text is no HLO module: it has no line 'ENTRY ... {'")
    return Module(entry, computations)


def _instruction(found: re.Match, line: str) -> Instruction:
    start = found.end()
    # A tuple's shape has spaces and parentheses in it, an array's neither.
    tuple_ = line[start] == "("
    end = _closing(line, start) + 1 if tuple_ else line.index(" ", start)
    opening = line.index("(", end)
    closing = _closing(line, opening)
    arguments = line[opening + 1 : closing]
    return Instruction(
        name=found.group(2),
        opcode=line[end:opening].strip(),
        shape=line[start:end],
        operands=tuple(re.findall(r"%([\w.\-]+)", arguments)),
        rest=line[closing + 1 :],
        arguments=arguments,
        root=bool(found.group(1)),
    )


def _closing(line: str, opening: int) -> int:
    """The index of the parenthesis that closes the one at `opening`."""
    depth = 0
    for found in re.finditer(r"[()]", line[opening:]):
        depth += 1 if found.group() == "(" else -1
        if not depth:
            return opening + found.start()
    raise ValueError(f"a parenthesis is not closed in the HLO line {line[:200]!r}")
