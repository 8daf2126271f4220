"""FAM's mathematics: its attention, its residual, and what it knows of positions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from modules import normal, randomize

from mbnet_jax.models.modules import FeatureAttention

pytestmark = pytest.mark.gpu


def fam_with_spatial_bias(bias, x=None, scale=0.0):
    """FAM whose spatial attention is sigmoid(bias) everywhere, where `scale` is 0."""
    x = normal(2, 4, 3, 16) if x is None else x
    module = FeatureAttention()
    variables = module.init(jax.random.key(0), x, train=False)
    params = randomize(variables["params"])
    params["spatial_bn"] = {"scale": jnp.array([scale]), "bias": jnp.array([bias])}
    return x, params, *module.apply({**variables, "params": params}, x, train=False)


def test_fam_is_the_identity_where_attention_is_zero():
    x, _, out, attention = fam_with_spatial_bias(-1e4)
    assert not attention.any()
    np.testing.assert_array_equal(out, x)


def test_fam_matches_numpy():
    x, params, out, attention = fam_with_spatial_bias(0.0)
    squeeze, excite = params["squeeze"], params["excite"]

    def mlp(v):
        hidden = np.maximum(v @ squeeze["kernel"] + squeeze["bias"], 0)
        return hidden @ excite["kernel"] + excite["bias"]

    channel = 1 / (1 + np.exp(-mlp(x.mean((1, 2))) - mlp(x.max((1, 2)))))
    np.testing.assert_array_equal(attention, np.full((2, 4, 3, 1), 0.5))
    np.testing.assert_allclose(
        out, x + 0.5 * channel[:, None, None, :] * x, rtol=1e-4, atol=1e-5
    )


def test_fam_attention_does_not_saturate():
    # After some training, features are much larger than with initial weights.
    x = 50 * normal(4, 5, 3, 16)
    module = FeatureAttention()
    variables = module.init(jax.random.key(0), x, train=False)
    (_, attention), _ = module.apply(variables, x, train=True, mutable=["batch_stats"])
    assert attention.shape == (4, 5, 3, 1)
    assert 0.001 < attention.min() < 0.4 and 0.6 < attention.max() < 0.999
    np.testing.assert_allclose(np.log(attention / (1 - attention)).mean(), 0, atol=1e-4)
    np.testing.assert_allclose(np.log(attention / (1 - attention)).std(), 1, rtol=1e-3)


def pointwise():
    """A map, random variables of FAM with pointwise attention, and FAM of a map."""
    x = normal(2, 4, 3, 16)
    module = FeatureAttention(spatial="pointwise")
    variables = module.init(jax.random.key(0), x, train=False)
    variables |= {"params": randomize(variables["params"])}
    run = jax.jit(functools.partial(module.apply, train=False))
    return x, variables, functools.partial(run, variables)


def test_pointwise_attention_matches_numpy():
    x, variables, run = pointwise()
    params, (out, attention) = variables["params"], run(x)
    weighted = (out - x) / attention
    hidden = np.maximum(
        weighted @ params["spatial_reduce"]["kernel"][0, 0]
        + params["spatial_reduce"]["bias"],
        0,
    )
    logits = hidden @ params["spatial"]["kernel"][0, 0] / np.sqrt(1 + 1e-5)
    norm = params["spatial_bn"]
    expected = 1 / (1 + np.exp(-logits * norm["scale"] - norm["bias"]))
    np.testing.assert_allclose(attention, expected, rtol=1e-3)
    assert expected.std() > 0.01


def test_pointwise_attention_knows_no_positions_and_conv7_does():
    x, _, run = pointwise()
    order = np.random.default_rng(0).permutation(12)

    def shuffled(x):
        return np.asarray(x).reshape(2, 12, -1)[:, order].reshape(2, 4, 3, -1)

    for here, there in zip(run(shuffled(x)), run(x), strict=True):
        np.testing.assert_allclose(here, shuffled(there), rtol=1e-4, atol=1e-5)
    # Of a constant map, only padding tells positions apart.
    constant = np.ones_like(x)
    assert np.ptp(run(constant)[1]) < 1e-6
    *_, seen = fam_with_spatial_bias(0.0, constant, scale=1.0)
    assert np.ptp(seen) > 0.01


def test_without_its_residual_fam_shuts_out_what_it_does_not_attend_to():
    x, variables, run = pointwise()
    out, attention = run(x)
    module = FeatureAttention(spatial="pointwise", residual=False)
    only, same = module.apply(variables, x, train=False)
    np.testing.assert_allclose(attention, same, rtol=1e-5)
    np.testing.assert_allclose(only, 4 * (out - x), rtol=1e-4, atol=1e-5)


def test_an_unknown_spatial_attention_is_refused():
    with pytest.raises(ValueError, match=r"unknown spatial attention 'conv'.*conv7"):
        FeatureAttention(spatial="conv").init(
            jax.random.key(0), normal(1, 2, 2, 8), train=False
        )


# CFM
