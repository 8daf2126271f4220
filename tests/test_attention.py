"""Attention maps: their values, where they are drawn, and of which branches."""

from functools import partial

import jax
import numpy as np
import pytest
import tiny
import untrained
from modules import normal

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.losses import pool_area
from mbnet_jax.models import BRANCHES
from mbnet_jax.models.modules import DIRECTIONS, CrossFusion, position_codes
from mbnet_jax.report import heat
from mbnet_jax.report.attention import attention_maps, fusion_attention


def test_a_cell_is_drawn_over_the_pixels_that_training_compares_it_with():
    image = np.full((64, 32, 3), 128, np.uint8)
    for row, column in ((0, 0), (2, 1), (3, 1)):
        area = np.zeros((1, 64, 32), np.float32)
        area[0, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 1
        cells = np.asarray(pool_area(area, (4, 2)))[0].reshape(4, 2)
        assert cells[row, column] == 1 and cells.sum() == 1
        picture = heat.overlay(image, cells, 0, 1, height=128)
        light = picture.astype(int).sum(-1)
        hot = light == light.max()
        np.testing.assert_array_equal(hot, area[0].repeat(2, 0).repeat(2, 1) == 1)
    # Every cell is drawn, even if the pixels are not a multiple of the cells.
    odd = heat.overlay(image, np.arange(15.0).reshape(5, 3), 0, 14, height=31)
    assert len(np.unique(odd.reshape(-1, 3), axis=0)) == 15


def test_colours_grow_lighter_over_their_range():
    bar = heat.scale_bar().astype(int)
    grey = bar @ [299, 587, 114]
    assert (np.diff(grey[0]) >= -2000).all() and grey[0, -1] > 2 * grey[0, 0]
    low, high = heat.value_range(np.array([0.5, 0.52]))
    assert (low, high) == pytest.approx((0.46, 0.56))
    assert heat.value_range(np.array([0.1, 0.9])) == (0.1, 0.9)


@pytest.mark.parametrize("queries", ["mask", "unrelated"])
def test_fusion_attention_is_the_softmax_of_queries_and_keys(queries):
    mask, unrelated = normal(2, 3, 2, 5), normal(2, 4, 2, 6)
    module = CrossFusion(width=8, heads=2)
    init = jax.jit(lambda: module.init(jax.random.key(0), mask, unrelated, train=False))
    variables = init()
    assert "intermediates" not in variables
    plain = jax.jit(partial(module.apply, train=False))(variables, mask, unrelated)
    watched = partial(
        module.apply,
        train=False,
        mutable=["intermediates"],
        capture_intermediates=lambda m, _: (m.name or "").startswith("tokens"),
    )
    fused, state = jax.jit(watched)(variables, mask, unrelated)
    np.testing.assert_array_equal(plain, fused)
    sown = state["intermediates"]
    grid = (4, 2) if queries == "mask" else (3, 2)
    found = fusion_attention({"cross_fusion": sown}, queries, grid)
    tokens = {
        name: np.asarray(sown[f"tokens_{name}"]["__call__"][0])
        + position_codes(h, 2, 8)
        for name, h in (("mask", 3), ("unrelated", 4))
    }
    attention = variables["params"][DIRECTIONS[queries]]["attention"]
    keys, cells = ("unrelated", 8) if queries == "mask" else ("mask", 6)
    query, key = (
        np.einsum("bnc,chd->bhnd", tokens[of], attention[part]["kernel"])
        + np.asarray(attention[part]["bias"])[:, None]
        for of, part in ((queries, "query"), (keys, "key"))
    )
    weight = np.exp(np.einsum("bhqd,bhkd->bhqk", query, key) / np.sqrt(4))
    weight /= weight.sum(-1, keepdims=True)
    expected = cells * weight.mean((1, 2)).reshape(2, cells // 2, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.asarray(found).mean((1, 2)) == pytest.approx(1, rel=1e-5)


def network_and_images(**model):
    config = untrained.whole_network("data")
    config.model.update(model)
    network = untrained.untrained(config, make_mesh(jax.devices()[:1]))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)
    return network, image, np.stack([tiny.person(head) for head in (8, 10, 12)])


@pytest.mark.usefixtures("one_block")
@pytest.mark.parametrize(
    ("model", "chosen", "views", "maps"),
    [
        ({}, (), {"image", "crops", "silhouette"}, {*BRANCHES}),
        # Without a balance, and with maps of an earlier stage.
        (
            {"projection": 6, "ktm_stage": 1, "fam_stage": 1},
            (),
            {"image", "crops", "silhouette"},
            {*BRANCHES},
        ),
        # The mask branch is run with the branch that CFM fuses with it.
        ({}, ("mask",), {"image", "crops", "silhouette"}, {"mask"}),
        ({"cfm": False}, ("mask",), {"image", "silhouette"}, set()),
        (
            {"ktm": False},
            ("global", "clothing_unrelated"),
            {"image", "crops"},
            {"clothing_unrelated"},
        ),
    ],
)
def test_the_maps_are_those_of_the_chosen_branches(model, chosen, views, maps):
    network, image, parsing = network_and_images(**model)
    network.config.eval.branches = chosen
    found = attention_maps(network, image, parsing)
    assert found.views.keys() == views and found.maps.keys() == maps
    np.testing.assert_array_equal(found.views["image"], image)
    assert all(v.dtype == np.uint8 and len(v) == 3 for v in found.views.values())
    assert all(m.ndim == 3 and len(m) == 3 for m in found.maps.values())
    assert (found.reverse is not None) == ("mask" in maps)
    # A part of the branches has no balance, nor has a projection.
    balanced = not chosen and not model.get("projection")
    assert {*found.balance} == ({*BRANCHES} if balanced else set())
    for name in maps - {"mask"}:
        assert 0 <= found.maps[name].min() < found.maps[name].max() <= 1
    if "mask" in maps:
        for attention in (found.maps["mask"], found.reverse):
            assert attention.mean((1, 2)) == pytest.approx(1, rel=1e-4)
    if "silhouette" in views:
        expected = np.where(parsing[..., None] > 0, [255] * 3, 0)
        np.testing.assert_array_equal(found.views["silhouette"], expected)


def test_maps_of_modules_within_a_backbone_are_finer():
    config = tiny.tiny_config("data")
    config.model.update(
        fam_stage=1, fam_spatial="pointwise", branches=("clothing_unrelated",)
    )
    network = untrained.untrained(config, make_mesh(jax.devices()[:1]))
    image = np.zeros((2, tiny.HEIGHT, tiny.WIDTH, 3), np.uint8)
    found = attention_maps(network, image, np.stack([tiny.person()] * 2))
    height, width = config.views.crops
    own = found.maps["clothing_unrelated"]
    assert own.shape == (2, height // 4, width // 4)
    picture = heat.overlay(found.views["crops"][0], own[0], 0, 1, height=128)
    assert len(picture) == 128


@pytest.mark.usefixtures("one_block")
def test_maps_do_not_depend_on_the_batch_size():
    network, image, parsing = network_and_images()
    whole = attention_maps(network, image, parsing)
    network.config.eval.batch_size = 2
    batched = attention_maps(network, image, parsing)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        whole,
        batched,
    )
