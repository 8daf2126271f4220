"""Training some modules alone: what changes, and what stays bit for bit."""

import jax
import numpy as np
import optax
import pytest
import tiny
from test_losses_total import TARGETS, outputs

from mbnet_jax import losses
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.runs.network import make_model
from mbnet_jax.training.loop import train
from mbnet_jax.training.step import init_state, make_train_step

pytestmark = pytest.mark.usefixtures("one_block")

ROWS = 4


def config_of(only):
    config = tiny.tiny_config("data")
    config.model.branches = ("global",)
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    config.train.batch_size = ROWS
    with config.unlocked():
        config.model.update(parser=True, parser_image=True)
        config.train.only = only
    return config


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    shape = (ROWS, tiny.HEIGHT, tiny.WIDTH)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    parsing = np.stack([tiny.person(8 + 2 * row) for row in range(ROWS)])
    return {"image": image, "parsing": parsing, "pid": np.array([0, 0, 1, 1])}


def trained(only, batch):
    """The state before and after one step with weight decay, and its scalars."""
    config = config_of(only)
    model = make_model(config.model, 2)
    optimizer = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1))
    state = jax.jit(lambda: init_state(config, model, optimizer))()
    step = make_train_step(config, model, optimizer, make_mesh(jax.devices()[:1]))
    after, scalars = jax.jit(step)(state, batch)
    return jax.device_get((state, after, scalars))


@pytest.fixture(scope="module")
def all_trained(batch):
    return trained((), batch)


ONLY = ("image_parser", "knowledge_transfer")


@pytest.fixture(scope="module")
def some_trained(batch):
    return trained(ONLY, batch)


@pytest.mark.parametrize("kind", ["params", "batch_stats"])
def test_only_the_named_modules_change(some_trained, all_trained, kind):
    before, after, _ = (getattr(x, kind, None) for x in some_trained)
    _, wanted, _ = (getattr(x, kind, None) for x in all_trained)
    assert {*before} - {*ONLY}
    for name in before:
        if name in ONLY:
            # These modules do not read each other, or the rest's gradients.
            tree = (after[name], wanted[name])
            jax.tree.map(
                lambda f, e: np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-6),
                *tree,
            )
            pairs = zip(*map(jax.tree.leaves, (before[name], after[name])), strict=True)
            assert any(np.any(old != new) for old, new in pairs)
        else:
            jax.tree.map(np.testing.assert_array_equal, before[name], after[name])
            moved = zip(
                *map(jax.tree.leaves, (before[name], wanted[name])), strict=True
            )
            assert any(np.any(old != new) for old, new in moved), name


def test_the_loss_is_that_of_the_whole_network(some_trained, all_trained):
    some, whole = some_trained[2], all_trained[2]
    assert some["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert 0 < some["gradient_norm"] < whole["gradient_norm"]


def test_an_unknown_module_is_refused_with_those_there_are(small, tmp_path):
    config, dataset, mesh = small
    with config.unlocked():
        config.train.only = ("global_backbon",)
    with pytest.raises(ValueError, match="global_backbon is unknown; nearest known"):
        train(config, dataset, tmp_path / "run", mesh)
    assert not (tmp_path / "run").exists()


def test_accuracy_is_logged_only_where_a_classifier_is_trained():
    config = tiny.tiny_config("data").loss
    pid = np.array([0, 1, 0, 1])
    for weight in (1.0, 0.0):
        config.identity = weight
        _, scalars = losses.total(outputs(), TARGETS, pid, config)
        assert any(name.startswith("accuracy/") for name in scalars) == bool(weight)
