"""Attention rollout: by hand, against matrix products, and in the network's maps."""

import functools

import jax
import numpy as np
import pytest
import tiny
import untrained

from mbnet_jax.backbones import make_backbone, renormalised
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.report.attention import attention_maps
from mbnet_jax.report.attention_pictures import layers_of
from mbnet_jax.report.rollout import rollout
from mbnet_jax.views import make_views, normalise


def test_two_blocks_by_hand():
    # A class token and two cells, one head. In the second block the class token
    # attends to the first cell alone; in the first, that cell to the second alone.
    first = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1]], np.float32)
    second = np.array([[0, 1, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    weights = np.stack([first, second])[:, None, None]
    # Half of the token is the first cell's output, which is half the second cell: of
    # the token 1/2 stays, 1/4 is the first cell and 1/4 the second.
    of_token = rollout(weights, (1, 2), of_token=True)
    np.testing.assert_allclose(of_token, [[[1, 1]]])
    # The cells pass on themselves; half of the first one's is the second.
    of_cells = rollout(weights, (1, 2), of_token=False)
    np.testing.assert_allclose(of_cells, [[[0.5, 1.5]]])


@pytest.mark.parametrize("registers", [0, 2])
def test_it_is_the_product_of_the_blocks_matrices(registers):
    grid, heads, prefix = (2, 3), 2, 1 + registers
    n = prefix + 6
    rng = np.random.default_rng(0)
    weights = rng.random((3, 2, heads, n, n)).astype(np.float32)
    weights /= weights.sum(-1, keepdims=True)
    for image in range(2):
        product = np.eye(n)
        for block in weights[:, image]:
            product = (block.mean(0) + np.eye(n)) / 2 @ product
        np.testing.assert_allclose(product.sum(1), 1, rtol=1e-6)
        rows = {True: product[0, prefix:], False: product[prefix:, prefix:].mean(0)}
        for of_token, row in rows.items():
            found = rollout(weights, grid, of_token=of_token)[image]
            np.testing.assert_allclose(
                found, (row / row.mean()).reshape(grid), rtol=1e-5
            )


@pytest.mark.usefixtures("one_block")
def test_each_branch_with_a_transformer_has_its_own_though_they_share_it():
    config = untrained.whole_network("data")
    tiny.use_transformers(config)
    with config.unlocked():
        own = config.model.backbones.clothing_unrelated
        own.update(pooling="max_avg", share="global")
    network = untrained.untrained(config, make_mesh(jax.devices()[:1]))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)
    parsing = np.stack([tiny.person(head) for head in (8, 10, 12)])
    found = attention_maps(network, image, parsing)
    assert {*found.rollouts} == {"global", "clothing_unrelated"}
    fields = config.model.backbones["global"].to_dict()
    module = make_backbone(fields, dtype="float32", name=None)

    @jax.jit
    def rollout_of(params, image, parsing, branch):
        views = make_views(normalise(image), parsing, config.views, ("image", "crops"))
        view = jax.lax.select(branch, views["crops"], views["image"])
        x = renormalised(view, fields["name"])
        apply = functools.partial(module.apply, train=False, mutable=["intermediates"])
        _, state = apply({"params": params}, x)
        (weights,) = state["intermediates"]["blocks"]["attention"]["weights"]
        both = [rollout(weights, (8, 4), of_token=of_token) for of_token in (1, 0)]
        return jax.lax.select(branch, *both[::-1])

    params = network.variables["params"]["global_backbone"]
    for number, branch in enumerate(("global", "clothing_unrelated")):
        expected = rollout_of(params, image, parsing, number == 1)
        np.testing.assert_allclose(
            found.rollouts[branch], expected, rtol=1e-3, atol=1e-4
        )
    drawn = [(layer.branch, layer.title, layer.view) for layer in layers_of(found)]
    assert drawn == [
        ("global", "attention rollout, global branch", "image"),
        ("global", "KTM's gate", "image"),
        (
            "clothing_unrelated",
            "attention rollout, clothing-unrelated branch",
            "crops",
        ),
        ("clothing_unrelated", "FAM's attention", "crops"),
        ("mask", "CFM: where the silhouette attends", "crops"),
    ]
    # Alone, a branch that shares is the only one to run the backbone.
    config.eval.branches = ("clothing_unrelated",)
    alone = attention_maps(network, image, parsing)
    np.testing.assert_allclose(
        alone.rollouts["clothing_unrelated"],
        found.rollouts["clothing_unrelated"],
        rtol=1e-3,
        atol=1e-4,
    )
