"""Inputs of module tests."""

import functools

import jax
import numpy as np

_rng = np.random.default_rng(0)


def normal(*shape):
    """Standard normal numbers, float32."""
    return _rng.standard_normal(shape).astype(np.float32)


def shapes(module, *inputs, **kwargs):
    """Shapes of the output and of the variables; computes nothing."""
    init = functools.partial(module.init_with_output, **kwargs)
    return jax.eval_shape(init, jax.random.key(0), *inputs)
