"""What KTM transfers besides logits: embeddings and similarities; ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from modules import normal

from mbnet_jax import losses
from mbnet_jax.models import Outputs
from mbnet_jax.views import Targets

pytestmark = pytest.mark.gpu
# No term of the tests reads them.
TARGETS = Targets(area=jnp.zeros((4, 4, 4)), foreground=jnp.zeros((4, 4, 4)))
KINDS = (losses.feature_distillation, losses.similarity_distillation)


def unit(*shape):
    x = normal(*shape)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_the_embeddings_differ_by_one_minus_their_cosine():
    student = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    teacher = np.array([[0.6, 0.8], [0, 1], [-0.6, -0.8]], np.float32)
    found = losses.feature_distillation(student, teacher)
    np.testing.assert_allclose(found, (0.4 + 0 + 2) / 3, rtol=1e-6)


def test_only_embeddings_of_one_size_are_compared():
    with pytest.raises(ValueError, match=r"\(4, 6\), the teacher's \(4, 5\)"):
        losses.feature_distillation(unit(4, 6), unit(4, 5))


def test_similarities_differ_by_their_squared_gaps_over_pairs():
    student, teacher = unit(5, 6), unit(5, 3)
    gaps = [
        (student[i] @ student[j] - teacher[i] @ teacher[j]) ** 2
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    found = losses.similarity_distillation(student, teacher)
    np.testing.assert_allclose(found, np.mean(gaps), rtol=1e-5)


def test_similarities_do_not_depend_on_the_axes():
    x = unit(6, 4)
    turn = np.linalg.qr(normal(4, 4))[0]
    assert losses.similarity_distillation(x @ turn, x) < 1e-12
    assert losses.feature_distillation(x @ turn, x) > 0.1


@pytest.mark.parametrize("loss", KINDS)
def test_equal_embeddings_have_neither_loss_nor_slope_along_the_sphere(loss):
    x = unit(4, 6)
    value, slope = jax.value_and_grad(loss)(x, x)
    assert abs(value) < 1e-6
    along = slope - (slope * x).sum(1, keepdims=True) * x
    assert np.abs(along).max() < 1e-6


@pytest.mark.parametrize("loss", KINDS)
def test_only_the_student_learns_and_descends_to_the_teacher(loss):
    teacher = unit(6, 4)
    student = start = unit(6, 4)
    slope = jax.jit(jax.grad(loss, (0, 1)))
    assert not np.any(slope(student, teacher)[1])
    for _ in range(60):
        student = student - 2 * slope(student, teacher)[0]
        student /= np.linalg.norm(student, axis=1, keepdims=True)
    assert loss(student, teacher) < 0.05 * loss(start, teacher)


@pytest.mark.parametrize("kind", ["features", "similarity"])
def test_the_total_has_each_where_ktm_has_its_teacher(kind):
    config = tiny.tiny_config("data").loss
    config.update(identity=0.0, triplet=0.0, ktm_distill=0.0, ktm_area=0.0)
    with config.unlocked():
        config[f"ktm_{kind}"] = 0.5
    found = {name: unit(4, 6) for name in ("global", "clothing_unrelated")}

    def total(names=("global", "clothing_unrelated"), gate=(4, 2, 2, 1)):
        return losses.total(
            Outputs(
                features=dict.fromkeys(names, jnp.zeros((4, 6))),
                embeddings={name: found[name] for name in names},
                logits=dict.fromkeys(names, jnp.zeros((4, 3))),
                combined=jnp.zeros((4, 6)),
                gate_logits=None if gate is None else jnp.zeros(gate),
            ),
            TARGETS,
            jnp.array([0, 0, 1, 1]),
            config,
        )

    loss, scalars = total()
    function = dict(zip(("features", "similarity"), KINDS, strict=True))[kind]
    expected = function(*found.values())
    np.testing.assert_allclose(scalars[f"ktm_{kind}"], expected, rtol=1e-6)
    np.testing.assert_allclose(loss, 0.5 * expected, rtol=1e-6)
    for without in (total(names=("global",)), total(gate=None)):
        assert f"ktm_{kind}" not in without[1]
