"""The losses: values against NumPy, limits, and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mbnet_jax import losses

pytestmark = pytest.mark.gpu

rng = np.random.default_rng(0)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_matches_numpy(smoothing):
    logits = 3 * rng.standard_normal((6, 5))
    labels = rng.integers(0, 5, 6)
    log_p = np.log(softmax(logits))
    at_label = log_p[np.arange(6), labels]
    expected = -((1 - smoothing) * at_label + smoothing * log_p.mean(-1)).mean()

    actual = losses.cross_entropy(logits, labels, smoothing)

    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def triplet_by_loops(features, pid, margin):
    """The definition of Hermans et al., anchor by anchor."""
    terms = []
    for a in range(len(pid)):
        distance = [np.linalg.norm(features[a] - f) for f in features]
        others = [i for i in range(len(pid)) if i != a]
        positives = [distance[i] for i in others if pid[i] == pid[a]]
        negatives = [distance[i] for i in others if pid[i] != pid[a]]
        if positives and negatives:
            gap = max(positives) - min(negatives)
            soft = np.log1p(np.exp(gap))
            terms.append(soft if margin is None else max(gap + margin, 0))
    return np.mean(terms) if terms else 0.0


@pytest.mark.parametrize("margin", [None, 0.3])
@pytest.mark.parametrize(
    "pid",
    [
        [0, 0, 0, 1, 1, 1, 2, 2],
        [0, 0, 0, 0, 0, 1, 2, 3],  # 1, 2 and 3 have no positive
        [0, 1, 2, 3, 4, 5, 6, 7],  # no anchor has one
        [4, 4, 4, 4, 4, 4, 4, 4],  # no anchor has a negative
    ],
)
def test_triplet_matches_loops(pid, margin):
    features = rng.standard_normal((8, 3))
    actual = losses.batch_hard_triplet(features, np.array(pid), margin)
    expected = triplet_by_loops(features, pid, margin)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_triplet_gradient_is_finite_for_equal_features():
    # The gradient of the square root is infinite at zero, the distance of equals.
    features = jnp.ones((4, 3)).at[2:].add(1.0)
    gradient = jax.grad(losses.batch_hard_triplet)(features, jnp.array([0, 0, 1, 1]))
    assert np.isfinite(gradient).all()
    # Persons are pushed apart: the first person's gradient points to the second.
    assert (gradient[0] > 0).all() and (gradient[2] < 0).all()


def test_triplet_is_accurate_for_close_features_far_from_the_origin():
    # In float32, inner products cannot resolve these distances.
    features = np.array([[1000, 0], [1000, 0.25], [1000, 8], [1000, 8.5]])
    pid = np.array([0, 0, 1, 1])
    actual = losses.batch_hard_triplet(features, pid)
    np.testing.assert_allclose(actual, triplet_by_loops(features, pid, None), rtol=1e-5)


def test_distillation_matches_numpy_and_is_zero_for_equal_logits():
    student, teacher = 2 * rng.standard_normal((2, 4, 6))
    p, q = softmax(teacher / 3), softmax(student / 3)
    expected = 9 * (p * np.log(p / q)).sum(-1).mean()
    np.testing.assert_allclose(
        losses.distillation(student, teacher, 3.0), expected, rtol=1e-5
    )
    # A constant added to the logits changes no probability.
    equal = losses.distillation(teacher + 1, teacher, 3.0)
    np.testing.assert_allclose(equal, 0, atol=1e-5)


def test_distillation_trains_only_the_student():
    student, teacher = rng.standard_normal((2, 4, 6)).astype(np.float32)
    to_student, to_teacher = jax.grad(losses.distillation, (0, 1))(
        student, teacher, 3.0
    )
    # d/ds of T^2 KL is T (q - p) / B.
    expected = 3 * (softmax(student / 3) - softmax(teacher / 3)) / 4
    np.testing.assert_allclose(to_student, expected, atol=1e-6)
    assert not to_teacher.any()


def test_gate_area_matches_numpy_on_pooled_area():
    logits = rng.standard_normal((2, 2, 1, 1))
    area = rng.integers(0, 2, (2, 4, 3))
    target = np.stack([area[:, :2].mean((1, 2)), area[:, 2:].mean((1, 2))], axis=1)
    gate = 1 / (1 + np.exp(-logits[..., 0, 0]))
    expected = -(target * np.log(gate) + (1 - target) * np.log(1 - gate)).mean()
    np.testing.assert_allclose(losses.gate_area(logits, area), expected, rtol=1e-5)


def test_gate_area_is_finite_for_a_saturated_gate():
    logits = jnp.array([1e4, -1e4]).reshape(1, 2, 1, 1)
    area = jnp.array([[[0.0], [1.0]]])
    np.testing.assert_allclose(losses.gate_area(logits, area), 1e4)


def test_background_constraint_counts_only_the_background():
    foreground = np.zeros((1, 4, 2))
    foreground[:, :2] = 1
    on_person = np.array([[0.9, 0.7], [0, 0]]).reshape(1, 2, 2, 1)
    assert losses.background_constraint(on_person, foreground) == 0

    attention = np.array([[0.9, 0.7], [0.2, 0.4]]).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(
        losses.background_constraint(attention, foreground), 0.6 / 2.2, rtol=1e-6
    )
    # Half of the third position becomes person, so it counts half.
    foreground[:, 2, 0] = 1
    np.testing.assert_allclose(
        losses.background_constraint(attention, foreground),
        (0.5 * 0.2 + 0.4) / 2.2,
        rtol=1e-6,
    )
    # Every image has the same weight, whatever the sum of its attention.
    np.testing.assert_allclose(
        losses.background_constraint(
            np.concatenate([attention, on_person / 9]), np.repeat(foreground, 2, axis=0)
        ),
        0.5 * (0.5 * 0.2 + 0.4) / 2.2,
        rtol=1e-6,
    )


def test_background_constraint_is_invariant_to_the_scale_of_attention():
    rng = np.random.default_rng(0)
    attention = jnp.asarray(rng.random((2, 4, 2, 1)), jnp.float32)
    foreground = jnp.asarray(rng.random((2, 8, 4)) > 0.5, jnp.float32)

    def at(scale):
        return losses.background_constraint(scale * attention, foreground)

    np.testing.assert_allclose(at(0.01), at(1.0), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(at)(1.0), 0, atol=1e-6)
    gradient = jax.grad(losses.background_constraint)(attention, foreground)
    background = 1 - losses.pool_area(foreground, (4, 2))
    # The gradient lowers attention where the share of background is above the
    # constraint, the attention's mean share, and raises it elsewhere.
    for image in range(2):
        more = background[image] > losses.background_constraint(
            attention[image : image + 1], foreground[image : image + 1]
        )
        np.testing.assert_array_equal(gradient[image] > 0, more)


def test_background_constraint_without_attention_or_background_is_zero():
    some, none = jnp.full((1, 2, 2, 1), 0.5), jnp.zeros((1, 2, 2, 1))
    for attention, foreground in ((some, jnp.ones((1, 4, 2))), (none, none[..., 0])):
        value, gradient = jax.value_and_grad(losses.background_constraint)(
            attention, foreground
        )
        assert value == 0
        assert not gradient.any()  # and no nan


def test_background_constraint_against_the_foreground_is_a_cross_entropy():
    attention = np.array([[0.9, 0.7], [0.2, 0.4]], np.float32).reshape(1, 2, 2, 1)
    foreground = np.zeros((1, 4, 4))
    foreground[:, :2] = 1
    foreground[:, 2, 2:] = 1  # half of the fourth position
    logs = np.log([0.9, 0.7, 0.8, 0.4]).sum() + np.log(0.6 / 0.4) / 2
    found = losses.background_constraint(attention, foreground, "foreground")
    np.testing.assert_allclose(found, -logs / 4, rtol=1e-5)
    # It is least at the share of the foreground.
    least = losses.pool_area(foreground, (2, 2))
    gradient = jax.grad(losses.background_constraint)(
        jnp.clip(least, 0.01, 0.99), foreground, "foreground"
    )
    np.testing.assert_allclose(gradient[0, 1, 1], 0, atol=1e-6)
    for edge in (0.0, 1.0):
        saturated = jnp.full((1, 2, 2, 1), edge)
        value = losses.background_constraint(saturated, foreground, "foreground")
        assert np.isfinite(value) and value > 1


def test_an_area_that_does_not_divide_is_rejected():
    with pytest.raises(ValueError, match=r"5x4 pixels .* map of 2x2"):
        losses.pool_area(jnp.zeros((1, 5, 4)), (2, 2))


def test_losses_of_bfloat16_are_float32():
    logits = jnp.array([[1.0, 2.0], [0.5, -1.0]], jnp.bfloat16)
    attention = jnp.full((1, 1, 2, 1), 0.5, jnp.bfloat16)
    labels = jnp.array([0, 1])
    for loss in (
        losses.cross_entropy(logits, labels, 0.1),
        losses.batch_hard_triplet(logits, labels),
        losses.distillation(logits, logits, 2.0),
        losses.gate_area(attention, jnp.zeros((1, 2, 2))),
        losses.background_constraint(attention, jnp.zeros((1, 2, 2))),
    ):
        assert loss.dtype == jnp.float32 and loss.shape == ()
