"""Gradient accumulation against the gradients of its micro-batches, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from mbnet_jax import losses
from mbnet_jax.devices.mesh import batch_sharding, make_mesh
from mbnet_jax.runs.network import make_model
from mbnet_jax.training.accumulation import order_on_devices
from mbnet_jax.training.augment import augment, example_keys
from mbnet_jax.training.step import compiled, init_state, make_train_step
from mbnet_jax.views import make_targets, make_views, normalise

ROWS, MICRO_BATCHES = 16, 2


@pytest.mark.parametrize(("n", "devices"), [(1, 4), (2, 1), (2, 4), (4, 2)])
def test_every_device_has_its_share_of_every_micro_batch(n, devices):
    order = order_on_devices(ROWS, n, devices)
    assert sorted(order) == list(range(ROWS))
    if n == 1 or devices == 1:
        assert list(order) == list(range(ROWS))
    micro_batch = order.reshape(devices, n, -1) // (ROWS // n)
    assert (micro_batch == np.arange(n)[:, None]).all()


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    config = tiny.global_branch_config(tmp_path_factory.mktemp("data"))
    config.model.ktm = False
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    config.train.update(batch_size=ROWS, accumulate=MICRO_BATCHES)
    config.augment.update(flip=0.5, crop=0.5, erase=0.5)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 255, (ROWS, 64, 32, 3), dtype=np.uint8),
        "parsing": np.stack([tiny.person(4 + 2 * (row % 5)) for row in range(ROWS)]),
        "pid": np.arange(ROWS, dtype=np.int32) // 2,
    }
    with pytest.MonkeyPatch.context() as patch:
        tiny.know_one_block(patch)
        yield config, make_model(config.model, num_classes=8), batch


def by_hand(config, model, state, batch):
    """The mean gradient of the micro-batches; batch statistics; each one's loss."""
    keys = example_keys(config.seed + 1, state.step, ROWS)

    @jax.jit
    def one(batch_stats, rows, keys):
        image, parsing = jax.vmap(lambda *row: augment(*row, **config.augment))(
            normalise(rows["image"]), rows["parsing"], keys
        )
        views = make_views(image, parsing, config.views, ["image"])
        targets = make_targets(parsing, config.views)

        def loss_of(params):
            outputs, updates = model.apply(
                {"params": params, "batch_stats": batch_stats},
                views,
                train=True,
                mutable=["batch_stats"],
            )
            loss, _ = losses.total(outputs, targets, rows["pid"], config.loss)
            return loss, updates["batch_stats"]

        return jax.value_and_grad(loss_of, has_aux=True)(state.params)

    batch_stats, grads, loss_values = state.batch_stats, [], []
    for rows in np.split(np.arange(ROWS), MICRO_BATCHES):
        part = {name: values[rows] for name, values in batch.items()}
        (loss, batch_stats), grad = one(batch_stats, part, keys[rows])
        grads.append(grad)
        loss_values.append(loss)
    mean = jax.tree.map(lambda *x: sum(x) / MICRO_BATCHES, *grads)
    return mean, batch_stats, loss_values


@pytest.mark.usefixtures("compiled_in_a_hurry")
def test_the_step_takes_the_mean_of_the_micro_batches_gradients(setup):
    config, model, batch = setup
    mesh = make_mesh(jax.devices()[:2])
    optimizer = optax.sgd(1.0)  # a step is the gradient
    state = jax.jit(lambda: init_state(config, model, optimizer))()
    expected, batch_stats, loss_values = by_hand(config, model, state, batch)
    assert abs(loss_values[0] - loss_values[1]) > 0.01

    order = order_on_devices(ROWS, MICRO_BATCHES, mesh.size)
    placed = {
        name: jax.device_put(values[order], batch_sharding(mesh))
        for name, values in batch.items()
    }
    before = jax.tree.map(np.asarray, state)
    step = make_train_step(config, model, optimizer, mesh)
    after, scalars = compiled(step, mesh)(state, placed)
    found = jax.tree.map(lambda b, a: b - np.asarray(a), before.params, after.params)
    jax.tree.map(
        lambda f, e: np.testing.assert_allclose(f, e, rtol=2e-3, atol=2e-5),
        found,
        expected,
    )
    assert max(jnp.abs(x).max() for x in jax.tree.leaves(expected)) > 0.1
    jax.tree.map(
        lambda f, e: np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-6),
        after.batch_stats,
        batch_stats,
    )
    np.testing.assert_allclose(scalars["loss"], np.mean(loss_values), rtol=1e-5)
    norm = np.sqrt(sum(np.square(x).sum() for x in jax.tree.leaves(expected)))
    np.testing.assert_allclose(scalars["gradient_norm"], norm, rtol=1e-4)
