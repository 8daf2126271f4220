"""Poolings and the identity head, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from modules import normal, shapes

from mbnet_jax.backbones import Features
from mbnet_jax.models.heads import OF_TOKENS, POOLINGS, GeM, IdentityHead

pytestmark = pytest.mark.gpu


def test_poolings_match_numpy():
    x, token = np.abs(normal(2, 4, 3, 5)), normal(2, 5)
    top, mean = x.max((1, 2)), x.mean((1, 2))
    expected = {
        "avg": mean,
        "max_avg": np.concatenate([top, mean], axis=1),
        "token": token,
        "token_avg": np.concatenate([token, mean], axis=1),
    }
    for name, pooled in expected.items():
        found = POOLINGS[name](Features(x, token))
        np.testing.assert_allclose(found, pooled, rtol=1e-6)
        half = Features(jnp.asarray(x, jnp.bfloat16), jnp.asarray(token, jnp.bfloat16))
        assert POOLINGS[name](half).dtype == jnp.float32


@pytest.mark.parametrize("pooling", OF_TOKENS)
def test_a_pooling_without_its_token_is_refused(pooling):
    head = IdentityHead(num_classes=7, pooling=pooling)
    with pytest.raises(ValueError, match="class token, which this backbone does not"):
        shapes(head, Features(normal(1, 2, 2, 4)), train=False)


@pytest.mark.parametrize("p", [1.0, 3.0, 60.0])
def test_gem_is_the_generalised_mean(p):
    x = np.abs(normal(2, 4, 3, 5)) + 0.1
    pooled = GeM().apply({"params": {"p": jnp.array([p])}}, x)
    expected = (x.astype(np.float64) ** p).mean((1, 2)) ** (1 / p)
    np.testing.assert_allclose(pooled, expected, rtol=1e-4)
    assert (pooled >= x.mean((1, 2)) * 0.999).all() and (pooled <= x.max((1, 2))).all()


@pytest.mark.parametrize(
    ("pooling", "size"),
    [("max_avg", 10), ("gem", 5), ("avg", 5), ("token", 5), ("token_avg", 10)],
)
def test_the_neck_normalises_features_for_classifier_and_retrieval(pooling, size):
    x = Features(np.abs(normal(6, 4, 3, 5)), normal(6, 5))
    head = IdentityHead(num_classes=7, pooling=pooling)
    variables = head.init(jax.random.key(0), x, train=True)
    (feature, embedding, logits), _ = head.apply(
        variables, x, train=True, mutable=["batch_stats"]
    )
    kernel = variables["params"]["classifier"]["kernel"]
    assert set(variables["params"]["classifier"]) == {"kernel"}
    assert set(variables["params"]["bnneck"]) == {"scale"}
    assert feature.shape == (6, size) and kernel.shape == (size, 7)

    neck = (feature - feature.mean(0)) / np.sqrt(feature.var(0) + 1e-5)
    np.testing.assert_allclose(
        embedding, neck / np.linalg.norm(neck, axis=1, keepdims=True), atol=3e-4
    )
    np.testing.assert_allclose(logits, neck @ kernel, atol=1e-5)


def test_an_unknown_pooling_is_rejected():
    head = IdentityHead(num_classes=7, pooling="sum")
    with pytest.raises(ValueError, match="'sum'; known: max_avg, gem, avg"):
        shapes(head, Features(normal(1, 2, 2, 4)), train=False)
