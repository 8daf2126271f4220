"""What fusions read and write of arrays that they slice, or update in place."""

from benchmarks.compile_for_tpu.hlo import Array, Instruction, Module

SLICES = {"slice", "dynamic-slice", "gather"}


def sliced_parameters(
    module: Module, inner: dict[str, Instruction]
) -> dict[int, list[Array]]:
    """Number of a parameter that is only sliced -> the slices.

    The array that is updated in place counts as not read. Slices may be in fusions
    within the fusion.
    """
    users: dict[str, list[Instruction]] = {}
    for instruction in inner.values():
        for operand in instruction.operands:
            users.setdefault(operand, []).append(instruction)
    found = {}
    for instruction in inner.values():
        if instruction.opcode != "parameter":
            continue
        pending = [(instruction.name, u) for u in users.get(instruction.name, [])]
        slices: list[Array] | None = []
        while pending and slices is not None:
            name, user = pending.pop()
            first = user.operands[:1] == (name,)
            if user.opcode in SLICES and first:
                slices += user.arrays
            elif user.opcode == "dynamic-update-slice" and first:
                pass
            elif user.opcode == "bitcast":
                pending += [(user.name, u) for u in users.get(user.name, [])]
            elif user.opcode == "fusion":
                called = module.computations.get(user.called("calls"), {})
                nested = sliced_parameters(module, called)
                for place, operand in enumerate(user.operands):
                    if operand == name and slices is not None:
                        part = nested.get(place)
                        slices = None if part is None else slices + part
            else:
                slices = None
        if slices is not None and users.get(instruction.name):
            whole = sum(a.size for a in instruction.arrays)
            if sum(a.size for a in slices) < whole:
                found[int(instruction.arguments)] = slices
    return found


def written(
    module: Module, inner: dict[str, Instruction], results: list[Array]
) -> list[Array]:
    """What a fusion writes: of `results` that are updated in place, the updates."""
    root = next((x for x in inner.values() if x.root), None)
    if root is None:
        return results
    if root.opcode != "tuple":
        return _update(module, inner, root) or results
    parts = [inner[name] for name in root.operands]
    if any(len(part.arrays) != 1 for part in parts):
        return results
    found = [_update(module, inner, part) or part.arrays for part in parts]
    return [array for arrays in found for array in arrays]


def _update(
    module: Module, inner: dict[str, Instruction], result: Instruction
) -> list[Array] | None:
    """What is written into an array that is returned otherwise unchanged."""
    while result.opcode == "bitcast":
        result = inner[result.operands[0]]
    if result.opcode == "fusion":
        called = module.computations.get(result.called("calls"), {})
        root = next((x for x in called.values() if x.root), None)
        return None if root is None else _update(module, called, root)
    if result.opcode != "dynamic-update-slice":
        return None
    return inner[result.operands[1]].arrays
