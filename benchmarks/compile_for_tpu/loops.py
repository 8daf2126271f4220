"""What the loops of a program add to the compiler's counts, which have one run of each.

A transformer's blocks are such a loop (`lax.scan`), and so are micro-batches.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jax import lax

from benchmarks.compile_for_tpu import hlo
from benchmarks.compile_for_tpu.traffic import moved


class Products(NamedTuple):
    """FLOP of products and convolutions, with one run of each loop, and with all."""

    once: float = 0.0
    all: float = 0.0


def products(jaxpr: Any) -> Products:
    """The FLOP of a traced program, `jax.jit(f).trace(...).jaxpr`, on all devices.

    Loops whose length is not known before they run count once; of branches, that with
    the most counts, since a platform has one form of attention only.
    """
    once = everything = 0.0
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        kind, often = equation.primitive.name, 1
        if kind == lax.dot_general_p.name:
            inner = [Products(*[_product(equation)] * 2)]
        elif kind == lax.conv_general_dilated_p.name:
            inner = [Products(*[_convolution(equation)] * 2)]
        else:
            inner = [products(part) for part in _parts(equation)]
            if kind == lax.cond_p.name:
                inner = [max(inner, key=lambda part: part.all)]
            elif kind == lax.scan_p.name:
                often = equation.params["length"]
        once += sum(part.once for part in inner)
        everything += often * sum(part.all for part in inner)
    return Products(once, everything)


def repeated_flops(jaxpr: Any, chips: int) -> float:
    """FLOP of one chip's products in all runs of loops but the first."""
    found = products(jaxpr)
    return (found.all - found.once) / chips


def repeated_bytes(text: str) -> float:
    """Bytes that instructions of an optimised program move in all runs but the first.

    Operands and results without padding, wherever they are. 0 without a text.
    """
    if not text:
        return 0.0
    return float(sum(row.all - row.all // row.times for row in moved(hlo.parse(text))))


def _parts(equation: Any) -> list[Any]:
    """The programs that an operation consists of."""
    found = []
    for value in equation.params.values():
        parts = value if isinstance(value, tuple | list) else (value,)
        found += [p for p in parts if hasattr(getattr(p, "jaxpr", p), "eqns")]
    return found


def _product(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    result = math.prod(equation.outvars[0].aval.shape)
    return 2.0 * result * math.prod(left[i] for i in contracted)


def _convolution(equation: Any) -> float:
    """The products of elements that there are: none with padding or inserted zeros."""
    p = equation.params
    numbers = p["dimension_numbers"]
    image, kernel = (v.aval.shape for v in equation.invars)
    result = equation.outvars[0].aval.shape
    flops = 2.0 * kernel[numbers.rhs_spec[1]]
    flops *= result[numbers.out_spec[0]] * result[numbers.out_spec[1]]
    for axis in range(len(image) - 2):
        n = image[numbers.lhs_spec[2 + axis]]
        spread = p["lhs_dilation"][axis]
        starts = np.arange(result[numbers.out_spec[2 + axis]])
        starts = starts * p["window_strides"][axis] - p["padding"][axis][0]
        taps = np.arange(kernel[numbers.rhs_spec[2 + axis]]) * p["rhs_dilation"][axis]
        places = starts[:, None] + taps
        inside = (places >= 0) & (places <= (n - 1) * spread)
        flops *= np.sum(inside & (places % spread == 0))
    return float(flops)
