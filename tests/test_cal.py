"""CAL's losses: values, what they train and when, and missing labels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from modules import normal

from mbnet_jax import losses
from mbnet_jax.models import BRANCHES, MBNet, Outputs
from mbnet_jax.models.heads import ClothesClassifier
from mbnet_jax.runs.run_folder import RunFolder, num_clothes
from mbnet_jax.training.clothes import ClothesClasses, clothes_classes

# Three people: clothes 0 and 1; 2; 3, 4 and 5.
PERSON = np.array([0, 0, 1, 2, 2, 2], np.int32)
WORN = np.array([1, 2, 4, 3], np.int32)
PID = PERSON[WORN]
T, EPSILON = 0.25, 0.1


def adversarial_by_loops(cosines, worn, person, temperature, epsilon):
    """The definition of Gu et al., image by image and class by class."""
    terms = []
    for row, own in zip(cosines, worn, strict=True):
        e = np.exp(row / temperature)
        others = sum(e[c] for c in range(len(person)) if person[c] != person[own])
        positives = [c for c in range(len(person)) if person[c] == person[own]]
        share = epsilon / len(positives)
        terms += [
            -(1 - epsilon + share if c == own else share)
            * np.log(e[c] / (e[c] + others))
            for c in positives
        ]
    return sum(terms) / len(worn)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0])
def test_the_adversarial_loss_matches_loops(epsilon):
    cosines = np.tanh(normal(4, 6))
    same = PID[:, None] == PERSON
    found = losses.clothes_adversarial(cosines, WORN, same, T, epsilon)
    expected = adversarial_by_loops(cosines, WORN, PERSON, T, epsilon)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_classification_loss_matches_numpy():
    cosines = np.tanh(normal(4, 6))
    e = np.exp(cosines / T)
    expected = -np.log(e[range(4), WORN] / e.sum(1)).mean()
    found = losses.clothes_classification(cosines, WORN, T)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_single_person_has_a_loss_and_gradient_of_zero():
    # There are no clothes of other people to distinguish.
    value, gradient = jax.value_and_grad(losses.clothes_adversarial)(
        normal(2, 3), np.array([0, 2]), np.ones((2, 3), bool), T, EPSILON
    )
    assert value == 0 and not np.any(gradient)


UNLABELLED = np.array([1, -1, 4, -1], np.int32)


def test_images_of_unknown_clothes_are_left_out():
    cosines = np.tanh(normal(4, 6))
    same = PID[:, None] == PERSON
    same[3] = False  # of a person without any labelled image

    def adversarial(cosines, clothes):
        return losses.clothes_adversarial(cosines, clothes, same, T, EPSILON)

    def classification(cosines, clothes):
        return losses.clothes_classification(cosines, clothes, T)

    known = UNLABELLED >= 0
    expected = adversarial_by_loops(
        cosines[known], UNLABELLED[known], PERSON, T, EPSILON
    )
    np.testing.assert_allclose(adversarial(cosines, UNLABELLED), expected, rtol=1e-5)
    e = np.exp(cosines[known] / T)
    expected = -np.log(e[[0, 1], UNLABELLED[known]] / e.sum(1)).mean()
    np.testing.assert_allclose(classification(cosines, UNLABELLED), expected, rtol=1e-5)
    for loss in (adversarial, classification):
        gradient = jax.grad(loss)(cosines, UNLABELLED)
        assert not gradient[~known].any() and gradient[known].any(1).all()
        value, gradient = jax.value_and_grad(loss)(cosines, np.full(4, -1, np.int32))
        assert value == 0 and not gradient.any()


@pytest.fixture(scope="module")
def parts():
    """A clothes classifier, its weights, and embeddings."""
    module = ClothesClassifier(6)
    x = normal(4, 5)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    params = module.init(jax.random.key(0), x)["params"]
    return module, params, jnp.asarray(x)


def test_the_classifier_returns_cosines(parts):
    module, params, x = parts
    kernel = np.asarray(params["kernel"])
    expected = x @ (kernel / np.linalg.norm(kernel, axis=0))
    for found in module.apply({"params": params}, x):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def terms(parts, step):
    """The sum of CAL's two terms, as a function of weights and embeddings."""
    module, _, _ = parts
    config = tiny.tiny_config("data").loss
    config.update(identity=0.0, triplet=0.0, cal=0.5, cal_temperature=T)
    clothes = ClothesClasses(PERSON, start=7).of({"clothes": WORN, "pid": PID}, step)

    def loss_of(params, x):
        cosines, adversarial = module.apply({"params": params}, x)
        outputs = Outputs(
            features={"global": x},
            embeddings={"global": x},
            logits={"global": jnp.zeros((4, 3))},
            combined=x,
            clothes=cosines,
            adversarial=adversarial,
        )
        return losses.total(outputs, None, PID, config, clothes)

    return loss_of


def gradients(parts, step):
    return jax.grad(terms(parts, step), argnums=(0, 1), has_aux=True)(*parts[1:])


def test_each_loss_trains_one_side_and_the_adversarial_one_from_its_start(parts):
    _, params, x = parts
    (before_weights, before_x), scalars = gradients(parts, 6)
    (after_weights, after_x), _ = gradients(parts, 7)
    same = PID[:, None] == PERSON

    def classification(weights):
        cosines = x @ (weights / jnp.linalg.norm(weights, axis=0))
        return losses.clothes_classification(cosines, WORN, T)

    def adversarial(x):
        weights = params["kernel"]
        cosines = x @ (weights / jnp.linalg.norm(weights, axis=0))
        return 0.5 * losses.clothes_adversarial(cosines, WORN, same, T, EPSILON)

    expected = jax.grad(classification)(params["kernel"])
    for weights in (before_weights, after_weights):
        np.testing.assert_allclose(weights["kernel"], expected, atol=1e-6)
    assert not np.any(before_x)
    np.testing.assert_allclose(after_x, jax.grad(adversarial)(x), atol=1e-6)
    assert np.abs(after_x).max() > 0.01
    # It is logged before it counts, and unweighted.
    np.testing.assert_allclose(scalars["cal"], 2 * adversarial(x), rtol=1e-5)
    np.testing.assert_allclose(
        scalars["loss"], classification(params["kernel"]), rtol=1e-5
    )


def test_the_start_needs_no_second_compilation(parts):
    run = jax.jit(lambda step: terms(parts, step)(*parts[1:])[0])
    early, late = run(jnp.int32(6)), run(jnp.int32(7))
    assert late > early
    assert run._cache_size() == 1


def test_the_classifier_exists_only_with_clothes():
    views = {"image": jnp.zeros((2, 32, 16, 3))}
    backbones = {"global": {"name": "resnet10"}}

    def init(num_clothes):
        model = MBNet(5, backbones, num_clothes, branches=("global",))
        return lambda key: model.init(key, views, train=False)["params"]

    without, with_it = (jax.eval_shape(init(n), jax.random.key(0)) for n in (0, 6))
    added = with_it.pop("clothes_classifier")
    assert added["kernel"].shape == (1024, 6)
    assert jax.tree.map(lambda x: x.shape, without) == jax.tree.map(
        lambda x: x.shape, with_it
    )


def test_classes_are_outfits_of_people(small_data):
    root, dataset = small_data
    config = tiny.tiny_config(root)
    assert clothes_classes(config, dataset.train, 6) is None
    assert num_clothes(config, dataset.train) == 0
    config.loss.update(cal=1.0, cal_start_epoch=3)
    found = clothes_classes(config, dataset.train, 6)
    assert found.start == 18
    # Two outfits for each of six people.
    np.testing.assert_array_equal(np.bincount(found.person), [2] * 6)
    assert num_clothes(config, dataset.train) == 12
    np.testing.assert_array_equal(
        found.person[dataset.train.clothes], dataset.train.pid
    )


def test_missing_clothes_labels_are_rejected(small_data):
    root, dataset = small_data
    config = tiny.tiny_config(root)
    config.loss.cal = 1.0
    train = dataclasses.replace(
        dataset.train, clothes=np.full_like(dataset.train.clothes, -1)
    )
    message = r"needs clothes labels, and the training images of synthetic have none"
    with pytest.raises(ValueError, match=message):
        clothes_classes(config, train, 6)


def test_classes_are_those_of_the_labelled_images(small_data):
    root, dataset = small_data
    config = tiny.tiny_config(root)
    config.loss.cal = 1.0
    clothes = np.where(dataset.train.pid == 2, -1, dataset.train.clothes)
    train = dataclasses.replace(dataset.train, clothes=clothes).relabelled()
    found = clothes_classes(config, train, 6)
    np.testing.assert_array_equal(np.bincount(found.person), [2, 2, 0, 2, 2, 2])
    assert num_clothes(config, train) == 10
    np.testing.assert_array_equal(train.clothes == -1, train.pid == 2)


def test_a_run_does_not_resume_with_cal_switched(small, whole):
    config, dataset, _ = small
    workdir, _ = whole
    run = RunFolder(workdir)
    assert run.num_clothes == 0
    assert run.check_resume(config, dataset) == []
    config.loss.cal = 1.0
    with pytest.raises(ValueError, match=r"loss\.cal=1\.0 switches"):
        run.check_resume(config, dataset)


def test_one_branch_has_the_clothes_classifier():
    # Its module, and the outputs, have one name.
    assert [name for name, b in BRANCHES.items() if b.adversarial] == ["global"]
