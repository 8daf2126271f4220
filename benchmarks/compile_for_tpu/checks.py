"""What a program must not have in it: slow products, and arrays that grow too large."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jax import lax

from benchmarks.compile_for_tpu.hlo import Module
from benchmarks.compile_for_tpu.traffic import module_of

_PACKAGE = f"{Path(__file__).parents[2] / 'mbnet_jax'}/"
_PRODUCTS = (lax.dot_general_p.name, lax.conv_general_dilated_p.name)

# Where products of float32 arrays may stand in a bfloat16 step -> why. A name is that
# of `float32_products`, without the pass.
ALLOWED = {
    r"\w+_head/classifier": "logits go into a softmax over all identities",
    r"feature_attention/.*": "an attention is a sigmoid of a few products",
    r"(\w+_backbone/)?knowledge_transfer/gate": "a gate is a sigmoid of one channel",
    r"\w+_head/clothes_subspace": "a projection onto a few directions",
    r"balance_weights/\w+": "weights of a few branches are a softmax",
    r"cross_fusion/\w+/attention/.*": "a softmax, over a small map",
    r"training/augment_colour.py blur": "small, and pixels keep their precision",
    r"training/augment_clothes.py _pattern": "six products a pixel",
    r"training/augment.py \w+": "interpolates pixels: exact at whole steps",
    r"views.py \w+": "interpolates pixels and labels: exact at whole steps",
    r"losses/identity.py \w+": "distances are differences of nearly equal numbers",
    r"losses/(clothes|transfer).py \w+": "the same of means, and of cosines",
}


def float32_products(jaxpr: Any, outside: str = "") -> Iterator[str]:
    """Where a program multiplies two float32 arrays, by convolution or product.

    Args:
      jaxpr: of a traced program, as `jax.jit(f).trace(...).jaxpr`.
      outside: the names of what it is a part of.

    Yields:
      The module of the network, "global_head/classifier"; outside of it, file and
      function, "losses/identity.py triplet".
    """
    inner = getattr(jaxpr, "jaxpr", jaxpr)
    for equation in inner.eqns:
        names = f"{outside}/{equation.source_info.name_stack}".strip("/")
        if equation.primitive.name in _PRODUCTS and all(
            operand.aval.dtype == "float32" for operand in equation.invars
        ):
            yield _place(equation, names)
        for parameter in equation.params.values():
            parts = parameter if isinstance(parameter, tuple | list) else (parameter,)
            for part in parts:
                if hasattr(getattr(part, "jaxpr", part), "eqns"):
                    yield from float32_products(part, names)


def unexpected(places: Iterator[str]) -> list[str]:
    """Those places of `float32_products` that `ALLOWED` does not name, each once."""
    return sorted(
        {p for p in places if not any(re.fullmatch(rule, p) for rule in ALLOWED)}
    )


def large_arrays(module: Module, elements: float) -> list[str]:
    """Arrays in memory that have at least so many elements: "f32[3543,3384] fusion.1".

    What exists only inside a fusion is in no memory.
    """
    found = []
    for _, instruction, _ in module.run():
        for array in instruction.arrays:
            size = 1
            for side in array.dims:
                size *= side
            if size >= elements:
                dims = ",".join(map(str, array.dims))
                found.append(f"{array.dtype}[{dims}] {instruction.name}")
    return found


def _place(equation: Any, names: str) -> str:
    # `module_of` expects the name of the operation last, and names the pass first.
    module = module_of(f"{names}/.").partition(" ")[2]
    if module != ".":
        return module
    frames = getattr(equation.source_info.traceback, "frames", [])
    for frame in frames:  # from the inside
        if frame.file_name.startswith(_PACKAGE):
            return f"{frame.file_name.removeprefix(_PACKAGE)} {frame.function_name}"
    return "unknown"
