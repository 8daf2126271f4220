"""Drop path's keys: of seed, step and row; any devices, micro-batches and remat."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from hurry import in_a_hurry

from mbnet_jax.backbones import BACKBONES, Backbone
from mbnet_jax.backbones.transformer import Kind, Transformer
from mbnet_jax.devices.mesh import batch_sharding, make_mesh
from mbnet_jax.models import BRANCHES
from mbnet_jax.models.branches import branch_keys
from mbnet_jax.runs.network import make_model
from mbnet_jax.training.accumulation import order_on_devices
from mbnet_jax.training.augment import example_keys, path_keys
from mbnet_jax.training.step import compiled, init_state, make_prepare, make_train_step

ROWS, RATE = 16, 0.7
KIND = Kind(patch=16, grid=2, width=8, blocks=3, heads=2, hidden=8)
NAME = "tiny transformer"
TINY = Backbone(
    make=functools.partial(Transformer, KIND), fields=("drop_path", "remat")
)

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(BACKBONES, NAME, TINY)


def config_with(**train):
    config = tiny.tiny_config("data")
    config.model.branches = ("global",)
    config.model.ktm = False
    tiny.set_backbones(config, name=NAME, drop_path=RATE)
    config.train.update(batch_size=ROWS, **train)
    return config


@pytest.fixture(scope="module")
def start():
    """A new state's arrays, whose blocks count for more than new ones do."""
    with pytest.MonkeyPatch.context() as patch, in_a_hurry():
        patch.setitem(BACKBONES, NAME, TINY)
        config = config_with()
        model = make_model(config.model, 8)
        state = jax.jit(lambda: init_state(config, model, optax.sgd(0.0)))()
    backbone = state.params["global_backbone"]
    backbone["blocks"] = jax.tree.map(lambda x: 5 * x, backbone["blocks"])
    return jax.device_get(state)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 255, (ROWS, 64, 32, 3), dtype=np.uint8),
        "parsing": np.stack([tiny.person()] * ROWS),
        "pid": np.arange(ROWS, dtype=np.int32) // 2,
    }


def loss_of_rows(outputs, targets, pid, config, clothes):
    """A loss without norms and other images: each row's share of it is its own."""
    weights = 1.0 + jnp.arange(pid.size) % (ROWS // 2)
    loss = jnp.mean(weights * jnp.mean(outputs.features["global"], axis=1))
    return loss, {"loss": loss}


def losses_of(config, start, batch, devices, steps):
    """The loss of a batch at each of some steps."""
    mesh = make_mesh(devices)
    model = make_model(config.model, 8)
    step = compiled(
        make_train_step(config, model, optax.sgd(0.0), mesh, loss=loss_of_rows), mesh
    )
    order = order_on_devices(ROWS, config.train.accumulate, mesh.size)
    placed = {
        name: jax.device_put(values[order], batch_sharding(mesh))
        for name, values in batch.items()
    }
    found = []
    for number in steps:
        _, scalars = step(start.replace(step=jnp.int32(number)), placed)
        found.append(float(scalars["loss"]))
    return found


def by_hand(config, start, batch, step):
    """The same loss, each row by itself with its own key; and without drop path."""
    model, variables = make_model(config.model, 8), jax.device_put(start.variables)
    keys = example_keys(config.seed + 1, jnp.int32(step), ROWS)

    @jax.jit
    def features(batch):
        views, _ = make_prepare(config, model)(batch, keys, variables)
        rows = {name: view[:, None] for name, view in views.items()}

        def of_row(views, key, train):
            outputs, _ = model.apply(
                variables,
                views,
                train=train,
                keys=path_keys(key[None]),
                mutable=["batch_stats"],
            )
            return outputs.features["global"].mean()

        return [
            jax.lax.map(lambda row, train=train: of_row(*row, train), (rows, keys))
            for train in (True, False)
        ]

    weights = 1 + np.arange(ROWS) % (ROWS // 2)
    return [float(np.mean(weights * f)) for f in features(batch)]


def test_a_step_drops_the_same_paths_on_any_devices_and_in_any_micro_batch(
    start, batch
):
    config = config_with()
    devices = jax.devices()
    zeroth, first, again = losses_of(config, start, batch, devices[:1], (0, 1, 0))
    assert zeroth == again  # by seed, step and row alone
    wanted, without = by_hand(config, start, batch, step=1)
    assert first == pytest.approx(wanted, rel=1e-4)
    for other in (zeroth, without):
        assert abs(other - wanted) > 0.005 * abs(wanted)
    split = config_with(accumulate=2)
    tiny.set_backbones(split, remat=True)
    [found] = losses_of(split, start, batch, devices, (1,))
    assert found == pytest.approx(wanted, rel=1e-4)


def test_each_branch_has_keys_of_its_own_whichever_others_are_on():
    keys = jax.random.split(jax.random.key(0), 3)
    found = {branch: branch_keys(keys, branch) for branch in BRANCHES}
    data = [np.asarray(jax.random.key_data(k)) for k in (keys, *found.values())]
    assert len({row.tobytes() for rows in data for row in rows}) == 3 * len(data)
    assert branch_keys(None, "mask") is None


def test_a_network_needs_keys_only_if_a_branch_that_is_on_drops_paths():
    config = config_with()
    assert make_model(config.model, 8).needs_keys()
    config.model.backbones["global"].drop_path = 0.0
    assert not make_model(config.model, 8).needs_keys()
    config.model.backbones["global"].update(name="resnet18", drop_path=RATE)
    assert not make_model(config.model, 8).needs_keys()
