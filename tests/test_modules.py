"""MBNet's modules (KTM, FAM, CFM, the balance): their mathematics and dtypes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from modules import normal, randomize, shapes

from mbnet_jax.backbones import make_backbone
from mbnet_jax.models.modules import (
    DIRECTIONS,
    Balance,
    CrossAttention,
    CrossFusion,
    FeatureAttention,
    KnowledgeTransfer,
    combine,
    position_codes,
)

pytestmark = pytest.mark.gpu


# KTM


@pytest.mark.parametrize("residual", [True, False])
def test_gate_scales_the_map(residual):
    x = normal(2, 4, 2, 16)
    module = KnowledgeTransfer(residual=residual)
    params = randomize(module.init(jax.random.key(0), x))
    out, logits = module.apply(params, x)
    gate = 1 / (1 + np.exp(-np.asarray(logits)))
    assert logits.shape == (2, 4, 2, 1)
    assert gate.std() > 0.1  # it differs between positions
    factor = 1 + gate if residual else 2 * gate
    np.testing.assert_allclose(out, x * factor, rtol=1e-5)


def test_gate_matches_numpy():
    x = normal(1, 3, 3, 16)
    module = KnowledgeTransfer()
    params = randomize(module.init(jax.random.key(0), x))
    _, logits = module.apply(params, x)
    reduce, gate = params["params"]["reduce"], params["params"]["gate"]
    hidden = np.maximum(x[0] @ reduce["kernel"][0, 0] + reduce["bias"], 0)
    # At the middle of a 3x3 map the 3x3 kernel covers it all.
    expected = (hidden * gate["kernel"][..., 0]).sum() + gate["bias"][0]
    np.testing.assert_allclose(logits[0, 1, 1, 0], expected, rtol=1e-4)


def test_position_codes_agree_between_grids():
    fine, coarse = position_codes(9, 3, 16), position_codes(3, 1, 16)
    # Cell (1, 0) of the coarse grid has the same centre as (4, 1) of the fine one.
    np.testing.assert_allclose(fine[4 * 3 + 1], coarse[1], atol=1e-6)
    distances = np.linalg.norm(fine[:, None] - fine[None], axis=-1)
    assert distances[~np.eye(27, dtype=bool)].min() > 0.5  # codes are distinct


def test_cross_attention_ignores_the_order_of_keys_and_values():
    x, y = normal(2, 5, 8), normal(2, 7, 8)
    module = CrossAttention(heads=2)
    params = randomize(module.init(jax.random.key(0), x, y))
    out = module.apply(params, x, y)
    order = np.random.default_rng(0).permutation(7)
    np.testing.assert_allclose(module.apply(params, x, y[:, order]), out, atol=1e-4)
    # The outputs follow the order of the queries.
    order = np.random.default_rng(1).permutation(5)
    np.testing.assert_allclose(
        module.apply(params, x[:, order], y), out[:, order], atol=1e-4
    )


def test_cross_attention_to_equal_tokens_matches_numpy():
    # Whatever its weights, attention over equal tokens returns their value.
    x, y = normal(1, 3, 8), np.tile(normal(1, 1, 8), (1, 4, 1))
    module = CrossAttention(heads=2)
    params = randomize(module.init(jax.random.key(0), x, y))
    p = params["params"]["attention"]
    value = np.einsum("c,chd->hd", y[0, 0], p["value"]["kernel"]) + p["value"]["bias"]
    attended = np.einsum("hd,hdc->c", value, p["out"]["kernel"]) + p["out"]["bias"]
    z = x[0] + attended
    z = (z - z.mean(-1, keepdims=True)) / z.std(-1, keepdims=True)
    norm = params["params"]["norm"]
    expected = z * norm["scale"] + norm["bias"]
    np.testing.assert_allclose(
        module.apply(params, x, y)[0], expected, rtol=1e-3, atol=1e-4
    )


def test_fusion_is_symmetric_up_to_its_parameters():
    # Exchanging the two maps and the two directions' parameters changes nothing.
    mask, unrelated = normal(2, 4, 2, 6), normal(2, 4, 2, 6)
    module = CrossFusion(width=8, heads=2)
    apply = jax.jit(functools.partial(module.apply, train=False))
    variables = module.init(jax.random.key(0), mask, unrelated, train=False)
    params = randomize(variables["params"])
    stats = variables["batch_stats"]
    mask_attends, unrelated_attends = DIRECTIONS["mask"], DIRECTIONS["unrelated"]
    exchanged = {
        **params,
        "tokens_mask": params["tokens_unrelated"],
        "tokens_unrelated": params["tokens_mask"],
        mask_attends: params[unrelated_attends],
        unrelated_attends: params[mask_attends],
        "project": {"kernel": jnp.roll(params["project"]["kernel"], 8, axis=2)},
    }
    out = apply({"params": params, "batch_stats": stats}, mask, unrelated)
    back = apply({"params": exchanged, "batch_stats": stats}, unrelated, mask)
    np.testing.assert_allclose(out, back, atol=1e-4)
    same = apply({"params": params, "batch_stats": stats}, unrelated, mask)
    assert np.abs(out - same).max() > 0.1  # the directions differ


def test_the_fused_map_has_the_grid_of_the_mask_map():
    module = CrossFusion(width=8, heads=2)
    out, _ = shapes(module, normal(2, 4, 2, 6), normal(2, 6, 3, 10), train=False)
    assert out.shape == (2, 4, 2, 8)


@pytest.mark.parametrize(("width", "heads"), [(8, 3), (6, 2)])
def test_fusion_rejects_widths_that_do_not_divide(width, heads):
    with pytest.raises(ValueError, match=f"fusion_width is {width}; .* multiple of"):
        shapes(
            CrossFusion(width=width, heads=heads), *normal(2, 1, 2, 2, 4), train=False
        )


# Balance


@pytest.mark.parametrize("floor", [0.0, 0.5, 0.9])
def test_balance_starts_equal_and_keeps_its_mean_and_floor(floor):
    embeddings = [normal(5, 3), normal(5, 2), normal(5, 4)]
    balance = Balance(floor)
    params = balance.init(jax.random.key(0), embeddings)
    equal = balance.apply(params, embeddings)
    np.testing.assert_allclose(equal, np.ones((5, 3)), rtol=1e-6)
    # Large parameters saturate the softmax: weights reach their least and largest.
    extreme = jax.tree.map(lambda x: 100 * x, randomize(params))
    weights = balance.apply(extreme, embeddings)
    np.testing.assert_allclose(weights.mean(1), 1, rtol=1e-5)
    np.testing.assert_allclose(weights.min(), floor, atol=1e-4)
    np.testing.assert_allclose(weights.max(), 3 - 2 * floor, rtol=1e-4)


def test_balance_rejects_a_floor_above_the_mean():
    with pytest.raises(ValueError, match=r"balance_floor is 1\.5"):
        Balance(1.5).init(jax.random.key(0), [normal(5, 3), normal(5, 2)])


def test_the_combined_cosine_is_the_weighted_sum_of_cosines():
    embeddings = [
        e / np.linalg.norm(e, axis=1, keepdims=True)
        for e in (normal(5, 3), normal(5, 2))
    ]
    weights = np.abs(normal(5, 2))
    both = combine(embeddings, weights)
    cosines = sum(
        np.outer(w, w) * (e @ e.T) for w, e in zip(weights.T, embeddings, strict=True)
    )
    length = np.linalg.norm(weights, axis=1)
    np.testing.assert_allclose(
        both @ both.T, cosines / np.outer(length, length), atol=1e-5
    )
    np.testing.assert_allclose(
        combine(embeddings, None), np.concatenate(embeddings, 1) / 2**0.5, atol=1e-6
    )


def test_combine_passes_gradients_only_to_the_weights():
    def first(embedding, weights):
        return combine([embedding, embedding[:, ::-1]], weights)[:, 0].sum()

    to_embedding, to_weights = jax.grad(first, (0, 1))(normal(4, 3), np.ones((4, 2)))
    assert not to_embedding.any()
    assert to_weights.any()


def test_bfloat16_computes_maps_and_keeps_attentions_in_float32():
    x = jnp.asarray(normal(1, 4, 2, 16), jnp.bfloat16)
    for module, options in (
        (KnowledgeTransfer(dtype=jnp.bfloat16), {}),
        (FeatureAttention(dtype=jnp.bfloat16), {"train": False}),
    ):
        (out, attention), variables = shapes(module, x, **options)
        assert (out.dtype, attention.dtype) == (jnp.bfloat16, jnp.float32)
        assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    fields = {"name": "resnet10", "width": 8}
    backbone = make_backbone(fields, dtype=jnp.bfloat16, name="backbone")
    for module, inputs in (
        (backbone, (jnp.ones((1, 64, 32, 3)),)),
        (CrossFusion(8, 2, dtype=jnp.bfloat16), (x, x)),
    ):
        out, variables = shapes(module, *inputs, train=False)
        assert {y.dtype for y in jax.tree.leaves(out)} == {jnp.dtype("bfloat16")}
        assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
