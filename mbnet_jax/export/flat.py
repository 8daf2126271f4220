"""A function as a list of plain operations: no calls, no choice of a platform."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.extend.core import Literal

# Operations that call a function -> the parameter that holds it.
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
}


def flat(function: Callable, arguments: Sequence[jax.ShapeDtypeStruct]) -> Callable:
    """The same function, of those arguments, by operations of `jax.lax` alone.

    Calls are replaced by what they call, `platform_dependent` by its default, and
    barriers to the compiler by nothing.
    """
    traced = jax.make_jaxpr(function)(*arguments)
    return lambda *values: _evaluate(traced, values)[0]


def _evaluate(traced, arguments: Sequence) -> list:
    """The results of a ClosedJaxpr."""
    values = dict(zip(traced.jaxpr.constvars, traced.consts, strict=True))
    values |= zip(traced.jaxpr.invars, arguments, strict=True)

    def value(atom):
        if isinstance(atom, Literal):
            return np.asarray(atom.val, atom.aval.dtype)
        return values[atom]

    for operation in traced.jaxpr.eqns:
        name, parameters = operation.primitive.name, operation.params
        if name == "platform_index":
            continue  # read only by a choice of a platform
        if name == "cond" and parameters.get("branches_platforms"):
            default = parameters["branches"][-1]
            results = _evaluate(default, [value(a) for a in operation.invars[1:]])
        else:
            given = [value(atom) for atom in operation.invars]
            if name in _CALLS:
                results = _evaluate(parameters[_CALLS[name]], given)
            elif name == "optimization_barrier":
                results = given
            elif name == "reduce_window_max":
                results = [_pooled_by_three(operation, *given)]
            else:
                results = operation.primitive.bind(*given, **parameters)
                if not operation.primitive.multiple_results:
                    results = [results]
        values |= zip(operation.outvars, results, strict=True)
    return [value(atom) for atom in traced.jaxpr.outvars]


def _pooled_by_three(operation, x) -> jax.Array:
    """Maximum pooling of a map [B, h, w, c], with B and c as one axis.

    jax2onnx pools over every axis there is, ONNX Runtime over three at most.
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
