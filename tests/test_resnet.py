"""The residual networks: shapes, parameter counts and names."""

import jax
import jax.numpy as jnp
import pytest
from modules import shapes

from mbnet_jax.backbones import resnet
from mbnet_jax.backbones.resnet import ResNet


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [("resnet18", 11_176_512), ("resnet34", 21_284_672), ("resnet50", 23_508_032)],
)
def test_parameter_counts_are_torchvisions_without_fc(depth, parameters):
    net = ResNet(*resnet.DEPTHS[depth])
    _, variables = shapes(net, jnp.ones((1, 64, 32, 3)), train=False)
    assert count(variables["params"]) == parameters


# The pixels of the image, each way, per cell of the final map. The standard network,
# as published, is ("imagenet", 2).
SHRINKS_BY = {
    ("imagenet", 1): 16,
    ("imagenet", 2): 32,
    ("small", 1): 8,
    ("small", 2): 16,
    ("patch", 1): 16,
    ("patch", 2): 32,
}


def test_every_stem_has_its_size_tested():
    assert {stem for stem, _ in SHRINKS_BY} == set(resnet.STEMS)


@pytest.mark.parametrize(("stem", "last_stride"), SHRINKS_BY)
@pytest.mark.parametrize("depth", resnet.DEPTHS)
def test_map_size(depth, stem, last_stride):
    net = ResNet(*resnet.DEPTHS[depth], width=8, stem=stem, last_stride=last_stride)
    out, _ = shapes(net, jnp.ones((2, 128, 64, 3)), train=False)
    channels = 256 if depth == "resnet50" else 64
    size = SHRINKS_BY[stem, last_stride]
    assert out.map.shape == (2, 128 // size, 64 // size, channels)
    assert out.token is None


def test_names_are_torchvisions():
    net = ResNet(*resnet.DEPTHS["resnet50"])
    _, variables = shapes(net, jnp.ones((1, 64, 32, 3)), train=False)
    block = variables["params"]["layer2_0"]
    assert sorted(block) == [
        *("bn1", "bn2", "bn3", "conv1", "conv2", "conv3"),
        *("downsample_bn", "downsample_conv"),
    ]
    # torchvision's layer2.0.downsample.0.weight is [512, 256, 1, 1].
    assert block["downsample_conv"]["kernel"].shape == (1, 1, 256, 512)
    assert "downsample_conv" not in variables["params"]["layer2_1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": "big"}, "'big'; known: imagenet, small"),
        ({"last_stride": 3}, "last_stride is 3; it must be 1 or 2"),
    ],
)
def test_resnet_rejects_unknown_options(options, message):
    net = ResNet(*resnet.DEPTHS["resnet18"], **options)
    with pytest.raises(ValueError, match=message):
        shapes(net, jnp.ones((1, 64, 32, 3)), train=False)


def test_recomputing_blocks_changes_no_gradient_and_keeps_less():
    x = jax.random.normal(jax.random.key(0), (8, 64, 32, 3))
    plain, again = (
        ResNet((2, 1, 1, 1), False, width=8, stem="patch", remat=remat)
        for remat in (False, True)
    )
    variables = plain.init(jax.random.key(1), x, train=False)
    assert shapes(plain, x, train=False) == shapes(again, x, train=False)

    def program(net):
        def loss(params):
            out, updates = net.apply(
                variables | {"params": params}, x, train=True, mutable=["batch_stats"]
            )
            return (out.map**2).sum(), updates

        return loss

    want, got = (
        jax.grad(program(net), has_aux=True)(variables["params"])
        for net in (plain, again)
    )
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert jnp.allclose(a, b, rtol=1e-4, atol=1e-4)

    def kept(net):  # of activations for the backward pass, nearly
        residuals = jax.vjp(program(net), variables["params"], has_aux=True)[1]
        return count(residuals) - count(variables)

    assert kept(again) < kept(plain) / 2
