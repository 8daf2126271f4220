"""The collectives of a compiled program, their bytes, and how long links need."""

import re
from collections import Counter
from typing import NamedTuple

from benchmarks.compile_for_tpu.chips import HOP, Chip
from benchmarks.compile_for_tpu.hlo import Instruction, Module

KINDS = (
    *("all-reduce", "all-gather", "reduce-scatter", "all-to-all"),
    "collective-permute",
)


class Collective(NamedTuple):
    """One collective, executed `times` times a step.

    bytes: of the whole array that its group has or gets: what is reduced or scattered,
      the result of a gather.
    group: chips that take part in one exchange.
    """

    kind: str
    bytes: int
    group: int
    times: int


def collectives(module: Module, chips: int) -> list[Collective]:
    """The collectives that the program executes, each once.

    An asynchronous one is counted at its start; so is one that the compiler has
    distributed over several fusions, whose parts share a channel. A reduction of which
    the fusion around it keeps a part is a reduce-scatter.

    Args:
      module: the program of one chip.
      chips: of the whole mesh, the group of a collective that names none.
    """
    found: dict[object, Collective] = {}
    for computation, instruction, times in module.run():
        inside, scattered = computation, False
        candidates = [instruction]
        called = instruction.called("calls")
        if instruction.opcode in ("fusion", "async-start") and called:
            inside = module.computations.get(called, {})
            candidates = [*inside.values()]
            scattered = "all-reduce-scatter" in called
        for candidate in candidates:
            kind = candidate.opcode.removesuffix("-start")
            if kind not in KINDS:
                continue
            channel = re.search(r"channel_id=(\d+)", candidate.rest)
            size = _bytes(candidate, kind, inside)
            # A number may stand for one within a loop and another outside of it.
            key = (id(inside), candidate.name)
            if channel:
                key = (channel.group(1), kind, size)
            if key in found:
                continue
            if scattered and kind == "all-reduce":
                kind = "reduce-scatter"
            found[key] = Collective(kind, size, _group(candidate, chips), times)
    return list(found.values())


def _bytes(
    instruction: Instruction, kind: str, computation: dict[str, Instruction]
) -> int:
    operands = sum(
        array.size
        for name in instruction.operands
        if name in computation
        for array in computation[name].arrays
    )
    if kind != "all-gather":
        return operands
    results = sum(array.size for array in instruction.arrays)
    # The result of a start repeats the operands.
    return results - operands * instruction.opcode.endswith("-start")


def _group(instruction: Instruction, chips: int) -> int:
    """The chips of a group, in any of the three ways to write groups."""
    rest = instruction.rest
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
        return len(listed.group(1).split(","))
    if tiled := re.search(r"replica_groups=\[(\d+),(\d+)\]", rest):
        return int(tiled.group(2))
    if named := re.search(r"replica_groups=mesh\[([^\]]*)\] *\{([^}]*)\}", rest):
        sides = dict(re.findall(r"'(\w+)'=(\d+)", named.group(1)))
        group = 1
        for axis in re.findall(r"'(\w+)'", named.group(2)):
            group *= int(sides[axis])
        return group
    return chips


def seconds(collective: Collective, chip: Chip, hops: int) -> float:
    """How long the links need for a collective, over one ring of the chip's axes.

    An all-reduce sends its array twice, as reduce-scatter and all-gather, the others
    once, less the chip's own part; a permutation sends all of it. Each needs `hops`
    messages one after the other, an all-reduce twice as many, a permutation one: it is
    a step of a ring, between neighbours.
    """
    n = collective.group
    if n == 1:
        return 0.0
    rounds = 2 if collective.kind == "all-reduce" else 1
    share = (n - 1) / n
    if collective.kind == "collective-permute":
        share, hops = 1.0, min(hops, 1)
    once = collective.bytes * share / chip.ring + hops * HOP
    return rounds * once * collective.times


def counted(found: list[Collective]) -> str:
    """ "26 all-gathers 40 MiB, 29 all-reduces 3 MiB": the kinds that there are."""
    counts, sizes = Counter(), Counter()
    for one in found:
        counts[one.kind] += one.times
        sizes[one.kind] += one.bytes * one.times
    return ", ".join(
        f"{counts[kind]} {kind} {sizes[kind] / 2**20:,.1f} MiB"
        for kind in KINDS
        if counts[kind]
    )
