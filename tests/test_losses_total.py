"""The total loss: its terms, their weights, and which branches they train."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from modules import normal

from mbnet_jax import losses
from mbnet_jax.models import Outputs
from mbnet_jax.views import Targets

BRANCHES = ("global", "clothing_unrelated", "mask")
PID = jnp.array([0, 0, 1, 1])
TARGETS = Targets(
    area=(normal(4, 8, 8) > 0).astype(np.float32),
    foreground=(normal(4, 8, 8) > 0).astype(np.float32),
)
WEIGHTS = {
    "identity": 0.7,
    "triplet": 1.1,
    "ktm_distill": 0.3,
    "ktm_area": 0.5,
    "background": 0.2,
    "balance": 0.9,
}


def outputs(branches=BRANCHES, **changes) -> Outputs:
    fields = {
        "features": {b: normal(4, 6) for b in branches},
        "embeddings": {b: normal(4, 6) for b in branches},
        "logits": {b: normal(4, 2) for b in branches},
        "combined": normal(4, 6 * len(branches)),
        "balance": np.ones((4, len(branches)), np.float32),
        "gate_logits": normal(4, 4, 4, 1),
        "attention": np.abs(normal(4, 4, 4, 1)),
    }
    return Outputs(**(fields | changes))


def config(**weights):
    loss = tiny.tiny_config("data").loss
    loss.update(WEIGHTS | weights)
    return loss


def terms_of(found: Outputs, **weights) -> dict:
    loss, scalars = losses.total(found, TARGETS, PID, config(**weights))
    terms = {
        name: float(value)
        for name, value in scalars.items()
        if name != "loss" and not name.startswith("accuracy")
    }
    weight = WEIGHTS | weights
    total = sum(weight[name.split("/")[0]] * value for name, value in terms.items())
    np.testing.assert_allclose(loss, total, rtol=1e-6)
    return terms


def test_the_loss_is_the_weighted_sum_of_its_terms():
    assert set(terms_of(outputs())) == {
        *(
            f"{kind}/{branch}"
            for kind in ("identity", "triplet")
            for branch in BRANCHES
        ),
        *("ktm_distill", "ktm_area", "background", "balance"),
    }


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_of_zero_leaves_out_only_its_term(name):
    found = outputs()
    everything, rest = terms_of(found), terms_of(found, **{name: 0.0})
    gone = {term for term in everything if term.split("/")[0] == name}
    assert gone and set(rest) == set(everything) - gone
    assert all(rest[term] == everything[term] for term in rest)


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"gate_logits": None}, {"ktm_area", "ktm_distill"}),
        ({"attention": None}, {"background"}),
        ({"balance": None}, {"balance"}),
    ],
)
def test_a_module_that_is_off_has_no_terms(change, gone):
    assert set(terms_of(outputs())) - set(terms_of(outputs(**change))) == gone


def test_without_a_teacher_the_gate_learns_only_from_the_area():
    alone = terms_of(outputs(("global",), balance=None, attention=None))
    assert set(alone) == {"identity/global", "triplet/global", "ktm_area"}


def test_distillation_trains_the_student_and_not_the_teacher():
    found = outputs()

    def loss_of(logits):
        weights = dict.fromkeys(WEIGHTS, 0.0) | {"ktm_distill": 1.0}
        changed = found.replace(logits=logits)
        return losses.total(changed, TARGETS, PID, config(**weights))[0]

    grads = jax.grad(loss_of)(found.logits)
    assert np.abs(grads["global"]).max() > 0
    assert not grads["clothing_unrelated"].any() and not grads["mask"].any()


def test_accuracy_is_the_share_of_correct_predictions():
    correct_3_of_4 = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    logits = dict.fromkeys(BRANCHES, correct_3_of_4)
    _, scalars = losses.total(outputs(logits=logits), TARGETS, PID, config())
    assert scalars["accuracy/global"] == 0.75


def test_margin_zero_means_the_soft_margin():
    # With equal features the hinge is the margin, and the soft margin is log 2.
    features = dict.fromkeys(BRANCHES, np.ones((4, 6), np.float32))
    found = outputs(features=features)
    assert terms_of(found, margin=0.3)["triplet/global"] == pytest.approx(0.3)
    assert terms_of(found, margin=0.0)["triplet/global"] == pytest.approx(np.log(2))
