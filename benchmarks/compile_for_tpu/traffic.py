"""The bytes that each instruction of a compiled program moves, and what they are for.

Two counts. *HBM*: what an instruction reads and writes in the chip's main memory, in
whole tiles, as the compiler placed the arrays; what stays in the core's memory counts
nothing, its copies to and from there do. *All*: operands and results without padding,
wherever they are, each operand as often as it is used.

A fusion that slices an operand reads the slice; one that updates an array in place
writes the update.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from benchmarks.compile_for_tpu.hlo import Array, Instruction, Module
from benchmarks.compile_for_tpu.in_place import SLICES, sliced_parameters, written

# They move nothing: names, views, and the ends of what began elsewhere.
_FREE = {
    *("parameter", "tuple", "get-tuple-element", "bitcast", "constant", "after-all"),
    *("partition-id", "replica-id", "while", "conditional", "call", "opt-barrier"),
    *("async-done", "async-update", "copy-done", "slice-done"),
    *("dynamic-slice-done", "dynamic-update-slice-done"),
    *("all-reduce-done", "all-gather-done", "collective-permute-done"),
}
_FREE_CALLS = {"ConcatBitcast", "AllocateBuffer", "AssumeGatherIndicesInBound"}
_VIEWS = {"bitcast", "get-tuple-element", "tuple"}


class Moved(NamedTuple):
    """What one instruction moves, over all the times that it runs."""

    instruction: Instruction
    kind: str
    module: str  # "forward global_backbone/layer1_0/bn1"; see `module_of`
    hbm: int  # bytes
    all: int  # bytes
    cycles: int  # of the core, by the compiler's own estimate; 0 if it gives none
    times: int  # that it runs


def moved(module: Module) -> list[Moved]:
    """What every instruction of the program moves, in their order."""
    found = []
    for computation, instruction, times in module.run():
        if instruction.opcode in _FREE or _is_free_call(instruction):
            continue
        hbm, everything = _bytes(module, computation, instruction)
        found.append(
            Moved(
                instruction,
                kind_of(module, instruction),
                module_of(_named(computation, instruction)),
                hbm * times,
                everything * times,
                instruction.cycles() * times,
                times,
            )
        )
    return found


class Sum(NamedTuple):
    """What a group of instructions moves, in bytes, and its cycles."""

    hbm: int = 0
    all: int = 0
    cycles: int = 0
    instructions: int = 0


def summed(rows: Iterable[Moved], key: Callable[[Moved], str]) -> dict[str, Sum]:
    """The sums of each group, those with the most of `all` first."""
    sums: dict[str, Sum] = {}
    for row in rows:
        old = sums.get(key(row), Sum())
        own = (row.hbm, row.all, row.cycles, 1)
        sums[key(row)] = Sum(*(a + b for a, b in zip(old, own, strict=True)))
    return dict(sorted(sums.items(), key=lambda item: -item[1].all))


def kind_of(module: Module, instruction: Instruction) -> str:
    """What an instruction is: "convolution fusion", "loop fusion", "all-reduce"."""
    if instruction.opcode != "fusion":
        return instruction.opcode.removesuffix("-start")
    inner = module.computations.get(instruction.called("calls"), {}).values()
    opcodes = {x.opcode for x in inner}
    for opcode in ("all-gather", "all-reduce", "reduce-scatter", "all-to-all"):
        if opcode in opcodes:
            return f"{opcode} fusion"
    for opcode in ("convolution", "dot", "scatter", "gather", "sort", "custom-call"):
        if opcode in opcodes:
            return f"{opcode} fusion"
    kind = re.search(r"kind=k(\w+)", instruction.rest)
    return f"{kind.group(1).lower() if kind else 'other'} fusion"


def module_of(op_name: str) -> str:
    """The pass and the module of the network: "backward global_backbone/layer1_0/bn1".

    "other" passes are outside of the differentiated function.
    """
    if found := re.match(r"(state|batch|variables)[.\[]", op_name):
        return f"argument {found.group(1)}"
    if not op_name:
        return "unknown"
    parts = _split(op_name)
    backward = any(part.startswith("transpose(") for part in parts)
    forward = any(part.startswith("jvp(") for part in parts)
    again = any(re.match(r"(checkpoint|rematted_computation|remat)", p) for p in parts)
    names = []
    for part in parts[:-1]:  # the last is the operation
        while wrapped := re.fullmatch(r"(?:jvp|transpose|vmap|remat\d?)\((.*)\)", part):
            part = wrapped.group(1)
        if part and not re.fullmatch(
            r"(p?jit|shard_map|checkpoint|closed_call|rematted_computation"
            r"|custom_\w+|while|body|cond)(\(.*\))?|[A-Z]\w*",
            part,
        ):
            names.append(part)
    which = "backward" if backward else "forward" if forward else "other"
    which = "recomputed" if again and not backward and forward else which
    return f"{which} {'/'.join(names) or parts[-1]}"


def _split(op_name: str) -> list[str]:
    """Splits at slashes outside of parentheses."""
    parts, depth = [""], 0
    for character in op_name:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "/" and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _named(computation: dict[str, Instruction], instruction: Instruction) -> str:
    """Its op_name, or that of what it copies: a copy has none of its own."""
    for _ in range(20):
        if instruction.op_name or not instruction.operands:
            break
        before = computation.get(instruction.operands[0])
        if before is None:
            break
        instruction = before
    return instruction.op_name


def _is_free_call(instruction: Instruction) -> bool:
    if instruction.opcode != "custom-call":
        return False
    target = re.search(r'custom_call_target="([^"]*)"', instruction.rest)
    return target is not None and target.group(1) in _FREE_CALLS


def _bytes(
    module: Module, computation: dict[str, Instruction], instruction: Instruction
) -> tuple[int, int]:
    """(HBM bytes, all bytes) that an instruction moves when it runs once."""
    results = instruction.arrays
    operands = [
        computation[name].arrays for name in instruction.operands if name in computation
    ]
    opcode = instruction.opcode
    if opcode in ("copy-start", "slice-start", "dynamic-slice-start"):
        # The result is (target, source, context), or ((source), target, context).
        target = results[0 if opcode == "copy-start" else len(operands[0])]
        places = [target, operands[0][0]]
        return sum(target.padded for a in places if a.in_hbm), 2 * target.size
    if opcode.endswith("-start"):  # its result repeats the operands
        results = results[sum(map(len, operands)) :] or results
    reads: dict[int, list[Array]] = {}
    writes = results
    if opcode == "fusion":
        inner = module.computations.get(instruction.called("calls"), {})
        reads = sliced_parameters(module, inner)
        writes = written(module, inner, results)
    elif opcode in SLICES:
        reads = {0: results}
    elif opcode == "dynamic-update-slice":
        reads, writes = {0: []}, operands[1]
    hbm = everything = 0
    # What is sliced or updated is where the whole array is.
    moves = [(reads.get(n, arrays), arrays) for n, arrays in enumerate(operands)]
    for parts, wholes in [*moves, (writes, results)]:
        everything += sum(part.size for part in parts)
        if len(parts) == len(wholes):
            pairs = zip(parts, wholes, strict=True)
            hbm += sum(part.padded for part, whole in pairs if whole.in_hbm)
        elif wholes[0].in_hbm:
            hbm += sum(part.padded for part in parts)
    return hbm, everything
