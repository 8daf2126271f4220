"""Branches that share a backbone: one set of weights, found by each of them."""

import functools

import jax
import numpy as np
import pytest
import tiny
import untrained

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.branches import sub_network
from mbnet_jax.evaluation.embed_function import embed_function
from mbnet_jax.export.card import _backbone as described
from mbnet_jax.models.branches import owned_backbones
from mbnet_jax.runs.header import _network as summary
from mbnet_jax.runs.network import abstract_variables, init_variables, make_model
from mbnet_jax.views import make_views, normalise

pytestmark = pytest.mark.usefixtures("one_block")
KINDS = [tiny.ONE_BLOCK, tiny.TWO_BLOCKS]
BRANCHES = ("global", "clothing_unrelated")


def config_of(kind, share="global"):
    config = untrained.whole_network("data")
    if kind == tiny.TWO_BLOCKS:
        tiny.use_transformers(config)
    with config.unlocked():
        own = config.model.backbones.clothing_unrelated
        own.update(share=share, pooling="max_avg")
        if share:
            own.name = "resnet50"  # not read
    return config


def images():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (3, tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)
    return image, np.stack([tiny.person(head) for head in (8, 10, 12)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_shared_backbone_is_one_with_equal_weights(kind):
    shared = config_of(kind)
    network = untrained.untrained(shared, make_mesh(jax.devices()[:1]))
    params = network.variables["params"]
    assert "clothing_unrelated_backbone" not in params
    assert {"global_backbone", "clothing_unrelated_head"} <= set(params)

    own = config_of(kind, share="")
    copied = {
        name: tree | {"clothing_unrelated_backbone": tree["global_backbone"]}
        for name, tree in network.variables.items()
        if "global_backbone" in tree
    }
    separate = make_model(own.model, 4)
    assert jax.tree.structure(abstract_variables(own, separate)) == jax.tree.structure(
        network.variables | copied
    )
    run = jax.jit(embed_function(shared, network.model))(network.variables, *images())
    other = jax.jit(embed_function(own, separate))
    expected = other(network.variables | copied, *images())
    for name, rows in expected.items():
        np.testing.assert_allclose(run[name], rows, atol=1e-5)

    alone = ("clothing_unrelated",)
    assert sub_network(network.model, alone).branches == alone  # without its owner
    rows = jax.jit(embed_function(shared, network.model, alone))(
        network.variables, *images()
    )
    np.testing.assert_allclose(rows[alone[0]], expected[alone[0]], atol=1e-5)


def test_both_branches_train_it_and_update_its_statistics():
    config = config_of(tiny.ONE_BLOCK)
    config.model.update(branches=BRANCHES, balance=False, ktm=False, fam=False)
    model = make_model(config.model, 4)
    image, parsing = images()

    @jax.jit
    def gradients():
        views = make_views(normalise(image), parsing, config.views)
        variables = init_variables(config, model)

        def features(params, model=model):
            apply = functools.partial(model.apply, train=True, mutable=["batch_stats"])
            out, stats = apply(variables | {"params": params}, views)
            # Weighted, so that no gradient vanishes by symmetry.
            weights = np.arange(1, 4)[:, None]
            sums = [(f * weights).sum() for f in out.features.values()]
            return sums, stats["batch_stats"]["global_backbone"]["bn1"]["var"]

        each = [
            features(variables["params"], model.clone(branches=(b,)))[1]
            for b in BRANCHES
        ]
        return *jax.jacrev(features, has_aux=True)(variables["params"]), each

    found, variance, each = gradients()
    for branch in found:
        kernels = jax.tree.leaves(branch["global_backbone"])
        assert any(np.any(kernel) for kernel in kernels)
    # Running averages of factor 0.9, which start at 1: the global branch's view first.
    first, second = ((np.asarray(one) - 0.9) / 0.1 for one in each)
    expected = 0.9 * (0.9 + 0.1 * first) + 0.1 * second
    np.testing.assert_allclose(variance, expected, rtol=1e-4)


def test_public_weights_are_asked_for_once_and_lists_name_all_users():
    config = config_of(tiny.TWO_BLOCKS)
    backbones = config.model.backbones
    modules = {"global": "global_backbone", "mask": "mask_backbone"}
    assert owned_backbones(config.model.branches, backbones) == modules
    params = abstract_variables(config, make_model(config.model, 4))["params"]
    line = dict(summary(config, params))["backbones"]
    assert line.startswith("global and clothing-unrelated two blocks ")
    assert described(config, "clothing_unrelated") == (
        "`two blocks`, shared with the global branch"
    )
