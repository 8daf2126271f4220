"""Transformers' weights: timm's names and features, other spellings, refusals."""

import functools

import jax
import numpy as np
import pytest
import timm_weights as reference
import torchvision_weights
from modules import normal, shapes
from small_transformers import converted

from mbnet_jax.backbones import BACKBONES, timm_names
from mbnet_jax.backbones.fitting import whose
from mbnet_jax.backbones.transformer import Transformer

CLIP = "eva02_base_patch16_clip_224"  # the examples of two families
VIT = "vit_tiny_patch16_224"


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", reference.SMALL)
def test_features_equal_those_of_timm(name, which):
    size = reference.sizes(name)[which]
    net, variables = Transformer(reference.small_kind(name)), converted(name, size=size)
    assert {x.dtype for x in jax.tree.leaves(variables)} == {np.dtype(np.float32)}
    apply = functools.partial(net.apply, train=False)
    # It runs once, so optimizing it would take most of the time.
    compiled = jax.jit(apply).lower(variables, reference.image(size))
    options = {"xla_backend_optimization_level": "0"}
    out = compiled.compile(options)(variables, reference.image(size))
    cells = out.map.reshape(-1, reference.WIDTH)
    ours = np.stack([out.token[0], cells[1], cells[-2]])
    with np.load(reference.FEATURES) as features:
        expected = features[f"{name}_{size[0]}x{size[1]}"]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", reference.PUBLISHED)
def test_names_and_shapes_are_those_of_the_published_file(name):
    kind = BACKBONES[name].make.args[0]
    ours = timm_names.file_shapes(kind)
    theirs = reference.shapes(name)
    left_out = {key for key in theirs if key.startswith("fc_norm")}
    assert ours == {k: v for k, v in theirs.items() if k not in left_out}


@pytest.mark.parametrize(
    ("name", "arrays", "parameters"),
    [
        ("eva02_tiny_patch14_224", 162, 5_502_144),
        ("eva02_small_patch14_224", 162, 21_621_120),
        ("eva02_base_patch14_224", 234, 85_758_720),
        ("eva02_large_patch14_224", 462, 303_268_800),
        ("eva02_base_patch16_clip_224", 258, 85_869_312),
        ("eva02_large_patch14_clip_224", 510, 303_317_952),
        ("eva02_large_patch14_clip_336", 510, 303_645_632),
        ("vit_base_patch16_224", 150, 85_798_656),
        ("vit_base_patch16_clip_quickgelu_224", 151, 85_799_424),
        ("vit_small_patch14_dinov2", 174, 22_056_192),
        ("vit_large_patch14_dinov2", 342, 304_367_616),
        ("vit_base_patch14_reg4_dinov2", 175, 86_582_016),
        ("vit_large_patch14_reg4_dinov2", 343, 304_370_688),
        ("vit_small_patch16_dinov3", 162, 21_586_944),
        ("vit_large_patch16_dinov3", 318, 303_079_424),
        ("vit_small_patch16_dinov3_qkvb", 186, 21_596_160),
    ],
)
def test_numbers_of_arrays_and_parameters(name, arrays, parameters):
    # Those of timm's networks without a head.
    file = reference.shapes(name)
    assert len(file) == arrays
    assert sum(map(np.prod, file.values())) == parameters


def test_a_network_has_the_parameters_of_its_file():
    name = "eva02_large_patch14_clip_224"
    x = np.zeros((1, 224, 224, 3), np.float32)
    _, variables = shapes(BACKBONES[name].make(), x, train=False)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert count == 303_317_952


def test_a_patch_kernel_of_one_channel_takes_the_mean_of_three():
    weights = reference.generate(VIT)
    kernel = converted(VIT, channels=1)["params"]["patch_embed"]["kernel"]
    expected = weights["patch_embed.proj.weight"].mean(1)  # [d, height, width]
    np.testing.assert_array_equal(kernel[:, :, 0], expected.transpose(1, 2, 0))


def test_heads_and_half_precision():
    weights = {k: v.astype(np.float16) for k, v in reference.generate(VIT).items()}
    heads = {"head.weight": np.zeros((3, 64)), "head.bias": np.full(3, np.nan)}
    found = converted(VIT, weights | heads)
    assert {x.dtype for x in jax.tree.leaves(found)} == {np.dtype(np.float32)}
    bfloat = {k: v.astype(jax.numpy.bfloat16) for k, v in weights.items()}
    np.testing.assert_array_equal(
        converted(VIT, bfloat)["params"]["cls_token"],
        bfloat["cls_token"].astype(np.float32),
    )


# Position embeddings


def with_positions(weights, cells):
    return weights | {"pos_embed": normal(1, 1 + cells, 64)}


@pytest.mark.parametrize(
    ("cells", "size", "grid"),
    [
        (14 * 14, (256, 128), (14, 14)),  # the published grid
        (14 * 14, (448, 112), (14, 14)),  # of as many cells as the network's own
        (16 * 8, (256, 128), (16, 8)),  # the network's own
        (12 * 12, (256, 128), (12, 12)),  # another square
    ],
)
def test_positions_are_resampled_from_the_grid_of_the_file(cells, size, grid):
    weights = with_positions(reference.generate(VIT), cells)
    found = converted(VIT, weights, size)["params"]
    table = weights["pos_embed"]
    np.testing.assert_array_equal(found["class_pos_embed"], table[:, :1])
    own = (size[0] // 16, size[1] // 16)
    expected = jax.image.resize(
        table[0, 1:].reshape(*grid, 64), (*own, 64), "cubic", antialias=True
    )
    np.testing.assert_allclose(found["pos_embed"][0], expected, atol=2e-6)
    if grid == own:
        np.testing.assert_array_equal(found["pos_embed"][0], expected)


def test_a_position_embedding_of_no_known_grid_is_refused():
    weights = with_positions(reference.generate(VIT), 150)
    message = r"1 of another shape: pos_embed \(1, 151, 64\), not \(1, 197, 64\)"
    with pytest.raises(ValueError, match=message):
        converted(VIT, weights, (256, 128))


# What does not fit


def test_what_does_not_fit_is_listed():
    weights = dict(reference.generate(CLIP))
    del weights["blocks.1.attn.k_proj.weight"]
    weights["blocks.0.attn.k_proj.bias"] = np.zeros(64)
    weights["blocks.1.mlp.norm.bias"] = np.zeros(64)
    weights["patch_embed.proj.weight"] = np.zeros((64, 3, 14, 14))
    weights["norm.bias"] = np.full(64, np.inf)
    with pytest.raises(ValueError) as error:
        converted(CLIP, weights)
    assert str(error.value).splitlines()[1:] == [
        "  1 missing: blocks.1.attn.k_proj.weight",
        "  1 not in the network: blocks.0.attn.k_proj.bias",
        "  2 of another shape: "
        "patch_embed.proj.weight (64, 3, 14, 14), not (64, 3, 16, 16), "
        "blocks.1.mlp.norm.bias (64,), not (170,)",
        "  1 not finite: norm.bias",
    ]


def of(name):
    """A published file's names and shapes, without memory."""
    zero = np.zeros((), np.float32)
    return {k: np.broadcast_to(zero, v) for k, v in reference.shapes(name).items()}


def test_the_network_of_the_weights_is_named():
    def convert(weights, name, side):
        kind = BACKBONES[name].make.args[0]
        x = np.zeros((1, side, side, 3), np.float32)
        variables = shapes(Transformer(kind), x, train=False)[1]
        return BACKBONES[name].convert(weights, variables)

    for theirs in (
        "eva02_small_patch14_224",
        "vit_base_patch14_reg4_dinov2",
        "vit_small_patch16_dinov3_qkvb",
    ):
        message = rf"they are {theirs}'s, not vit_base_patch16_224's\n"
        with pytest.raises(ValueError, match=message):
            convert(of(theirs), "vit_base_patch16_224", 224)
    # A file of the network itself, of which one array lacks, is not called another's.
    weights = of("vit_base_patch16_clip_quickgelu_224")
    del weights["cls_token"]
    with pytest.raises(ValueError, match=r"fit the network\n  1 missing: cls_token$"):
        convert(weights, "vit_base_patch16_clip_quickgelu_224", 224)


def test_a_residual_network_is_told_from_a_transformer():
    zero = np.zeros(())
    resnet = torchvision_weights.shapes("resnet34")
    resnet = {k: np.broadcast_to(zero, v) for k, v in resnet.items()}
    assert whose(resnet) == "resnet34"
    assert whose(of("vit_base_patch16_224")) == "vit_base_patch16_224"
    assert whose({"a": zero}) is None
