"""Training on predicted maps: which images get them, and what losses compare with."""

import jax
import numpy as np
import pytest
import tiny
from untrained import untrained, whole_network

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.predicted import parsing_function
from mbnet_jax.training.augment import example_keys
from mbnet_jax.training.check import check_run
from mbnet_jax.training.predicted_maps import exchange_function
from mbnet_jax.training.step import make_prepare
from mbnet_jax.views import normalise

pytestmark = pytest.mark.usefixtures("one_block")

ROWS = 8


def with_share(share, parser=True):
    config = whole_network("data")
    config.augment.flip = 0.0
    with config.unlocked():
        config.model.parser = parser
        config.train.predicted_maps = share
    return config


@pytest.fixture(scope="module")
def network():
    return untrained(with_share(0.5), make_mesh(jax.devices()[:1]))


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    shape = (ROWS, tiny.HEIGHT, tiny.WIDTH)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    return {"image": image, "parsing": np.stack([tiny.person(8)] * ROWS)}


@pytest.fixture(scope="module")
def predicted(network, batch):
    predict = jax.jit(parsing_function(network.config, network.model))
    return np.asarray(predict(network.variables, normalise(batch["image"])))


def prepared(network, batch, share):
    prepare = make_prepare(with_share(share), network.model)
    keys = example_keys(1, 0, ROWS)
    return jax.device_get(jax.jit(prepare)(batch, keys, network.variables))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_views_are_of_the_maps_that_the_share_says(network, batch, predicted, share):
    views, targets = prepared(network, batch, share)
    maps = predicted if share else batch["parsing"]
    wanted, of_maps = prepared(network, {**batch, "parsing": maps}, 0.0)
    for name in views:
        np.testing.assert_array_equal(views[name], wanted[name], err_msg=name)
    # FAM's target lies in the crops, which follow the map of the view; the gate and
    # the parsing head learn from the given map all the same.
    np.testing.assert_array_equal(targets.foreground, of_maps.foreground)
    np.testing.assert_array_equal(targets.parsing, batch["parsing"])
    _, given = prepared(network, batch, 0.0)
    np.testing.assert_array_equal(targets.area, given.area)


def test_each_row_draws_by_itself_and_anew_at_each_step(network, batch, predicted):
    exchange = jax.jit(exchange_function(with_share(0.5), network.model))
    image = normalise(batch["image"])

    def chosen(step, rows=slice(None)):
        keys = example_keys(1, step, ROWS)[rows]
        maps = exchange(network.variables, image[rows], batch["parsing"][rows], keys)
        maps = np.asarray(maps)
        swapped = (maps == predicted[rows]).all((1, 2))
        kept = (maps == batch["parsing"][rows]).all((1, 2))
        np.testing.assert_array_equal(swapped, ~kept)
        return swapped

    draws = np.stack([chosen(step) for step in range(40)])
    assert 0.4 < draws.mean() < 0.6
    assert len({tuple(row) for row in draws}) > 30
    np.testing.assert_array_equal(chosen(3, slice(2, 6)), draws[3, 2:6])


def test_no_gradient_passes_through_a_predicted_map(network, batch):
    prepare = make_prepare(with_share(1.0), network.model)
    keys = example_keys(1, 0, ROWS)

    def silhouettes(params):
        variables = {**network.variables, "params": params}
        return prepare(batch, keys, variables)[0]["silhouette"].sum()

    found = jax.jit(jax.grad(silhouettes))(network.variables["params"])
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(found))


def test_without_a_head_that_predicts_the_field_is_refused():
    config = with_share(0.5, parser=False)
    with pytest.raises(ValueError, match=r"train\.predicted_maps=0\.5 needs a network"):
        check_run(config, make_mesh(jax.devices()[:1]), training=True)
