"""Flattens a function into primitive operations: no calls, no platform choices."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

# Primitives that call a function -> the parameter that holds it.
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "checkpoint": "jaxpr",
}


def flat(function: Callable, arguments: Sequence[jax.ShapeDtypeStruct]) -> Callable:
    """Returns the same function of these arguments, as operations of `jax.lax` alone.

    Calls are inlined, loops over layers (`scan`) unrolled, `platform_dependent` is
    replaced by its default, and barriers to the compiler are dropped. A QR
    decomposition of weights, which ONNX does not have, is computed here.
    """
    traced = jax.make_jaxpr(function)(*arguments)
    return lambda *values: _evaluate(traced, values)[0]


def _evaluate(traced: ClosedJaxpr | Jaxpr, arguments: Sequence) -> list:
    """Evaluates a program; a Jaxpr without constants of its own."""
    closed = isinstance(traced, ClosedJaxpr)
    jaxpr, consts = (traced.jaxpr, traced.consts) if closed else (traced, ())
    values = dict(zip(jaxpr.constvars, consts, strict=True))
    values |= zip(jaxpr.invars, arguments, strict=True)

    def value(atom):
        if isinstance(atom, Literal):
            return np.asarray(atom.val, atom.aval.dtype)
        return values[atom]

    for operation in jaxpr.eqns:
        name, parameters = operation.primitive.name, operation.params
        if name == "platform_index":
            continue  # only platform choices read it
        if name == "cond" and parameters.get("branches_platforms"):
            default = parameters["branches"][-1]
            results = _evaluate(default, [value(a) for a in operation.invars[1:]])
        else:
            given = [value(atom) for atom in operation.invars]
            if name in _CALLS:
                results = _evaluate(parameters[_CALLS[name]], given)
            elif name == "optimization_barrier":
                results = given
            elif name == "scan":
                results = _unrolled(parameters, given)
            elif name == "reduce_window_max":
                results = [_pooled_over_three_axes(operation, *given)]
            elif name == "qr" and not isinstance(given[0], jax.core.Tracer):
                with jax.ensure_compile_time_eval():
                    results = operation.primitive.bind(*given, **parameters)
            else:
                results = operation.primitive.bind(*given, **parameters)
                if not operation.primitive.multiple_results:
                    results = [results]
        values |= zip(operation.outvars, results, strict=True)
    return [value(atom) for atom in jaxpr.outvars]


def _unrolled(parameters: dict, given: Sequence) -> list:
    """A scan's results, from one evaluation of its body for each step.

    Slices of arrays that are known, such as the weights of stacked blocks, are arrays
    too: they are not computed when the program runs.
    """
    constants, carried = parameters["num_consts"], parameters["num_carry"]
    length = parameters["length"]
    fixed, carry = given[:constants], given[constants : constants + carried]
    stacked, steps = given[constants + carried :], []
    for i in reversed(range(length)) if parameters["reverse"] else range(length):
        part = [_at(x, i) for x in stacked]
        results = _evaluate(parameters["jaxpr"], [*fixed, *carry, *part])
        carry = results[:carried]
        steps.append(results[carried:])
    if parameters["reverse"]:
        steps.reverse()
    return [*carry, *(jax.numpy.stack(step) for step in zip(*steps, strict=True))]


def _at(x, i: int) -> np.ndarray | jax.Array:
    """Entry i of an array's first axis."""
    if not isinstance(x, jax.core.Tracer):
        return np.asarray(x)[i]
    return jax.lax.index_in_dim(x, i, keepdims=False)


def _pooled_over_three_axes(operation, x) -> jax.Array:
    """Max pooling of a map [B, h, w, c], with B and c as one axis.

    jax2onnx pools over all axes, ONNX Runtime over three at most.
    """
    batch, height, width, channels = x.shape
    parameters = {
        name: value[:3] if isinstance(value, tuple) else value
        for name, value in operation.params.items()
    }
    x = jax.lax.transpose(x, (0, 3, 1, 2))
    x = jax.lax.reshape(x, (batch * channels, height, width))
    x = operation.primitive.bind(x, **parameters)
    x = jax.lax.reshape(x, (batch, channels, *x.shape[1:]))
    return jax.lax.transpose(x, (0, 2, 3, 1))
