"""Inputs of module tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

RNG = np.random.default_rng(0)  # of each test; see conftest.py


def normal(*shape):
    """Standard normal numbers, float32."""
    return RNG.standard_normal(shape).astype(np.float32)


def shapes(module, *inputs, **kwargs):
    """Shapes of the output and of the variables; computes nothing."""
    init = functools.partial(module.init_with_output, **kwargs)
    return jax.eval_shape(init, jax.random.key(0), *inputs)


def randomize(tree):
    """Replaces all parameters: biases that start at zero hide mistakes."""
    return jax.tree.map(lambda x: jnp.asarray(0.5 * normal(*x.shape)), tree)
