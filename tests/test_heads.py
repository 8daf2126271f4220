"""Poolings and the identity head, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from modules import normal, shapes

from mbnet_jax.models.heads import POOLINGS, GeM, IdentityHead

pytestmark = pytest.mark.gpu


def test_poolings_match_numpy():
    x = np.abs(normal(2, 4, 3, 5))
    top, mean = x.max((1, 2)), x.mean((1, 2))
    np.testing.assert_allclose(POOLINGS["avg"]()(x), mean, rtol=1e-6)
    np.testing.assert_allclose(
        POOLINGS["max_avg"]()(x), np.concatenate([top, mean], axis=1), rtol=1e-6
    )


@pytest.mark.parametrize("p", [1.0, 3.0, 60.0])
def test_gem_is_the_generalised_mean(p):
    x = np.abs(normal(2, 4, 3, 5)) + 0.1
    pooled = GeM().apply({"params": {"p": jnp.array([p])}}, x)
    expected = (x.astype(np.float64) ** p).mean((1, 2)) ** (1 / p)
    np.testing.assert_allclose(pooled, expected, rtol=1e-4)
    assert (pooled >= x.mean((1, 2)) * 0.999).all() and (pooled <= x.max((1, 2))).all()


@pytest.mark.parametrize(("pooling", "size"), [("max_avg", 10), ("gem", 5), ("avg", 5)])
def test_the_neck_normalises_features_for_classifier_and_retrieval(pooling, size):
    x = np.abs(normal(6, 4, 3, 5))
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
        embedding, neck / np.linalg.norm(neck, axis=1, keepdims=True), atol=1e-4
    )
    np.testing.assert_allclose(logits, neck @ kernel, atol=1e-5)


def test_an_unknown_pooling_is_rejected():
    head = IdentityHead(num_classes=7, pooling="sum")
    with pytest.raises(ValueError, match="'sum'; known: max_avg, gem, avg"):
        shapes(head, normal(1, 2, 2, 4), train=False)
