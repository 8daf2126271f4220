"""The residual networks: shapes, parameter counts and layers."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from modules import normal, shapes

from mbnet_jax.backbones import layers, resnet
from mbnet_jax.backbones.resnet import ResNet


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [("resnet18", 11_176_512), ("resnet34", 21_284_672), ("resnet50", 23_508_032)],
)
def test_parameter_counts_are_torchvisions_without_fc(depth, parameters):
    _, variables = shapes(ResNet(depth), jnp.ones((1, 64, 32, 3)), train=False)
    assert count(variables["params"]) == parameters


@pytest.mark.parametrize("last_stride", [1, 2])
@pytest.mark.parametrize("stem", resnet.STEMS)
@pytest.mark.parametrize("depth", resnet.DEPTHS)
def test_map_size(depth, stem, last_stride):
    net = ResNet(depth, width=8, stem=stem, last_stride=last_stride)
    out, _ = shapes(net, jnp.ones((2, 128, 64, 3)), train=False)
    channels = 256 if depth == "resnet50" else 64
    assert out.shape == (2, 128 // net.stride, 64 // net.stride, channels)
    # The standard network, as published, shrinks by 32.
    if (stem, last_stride) == ("imagenet", 2):
        assert net.stride == 32


def test_names_are_torchvisions():
    _, variables = shapes(ResNet("resnet50"), jnp.ones((1, 64, 32, 3)), train=False)
    block = variables["params"]["layer2_0"]
    assert sorted(block) == [
        *("bn1", "bn2", "bn3", "conv1", "conv2", "conv3"),
        *("downsample_bn", "downsample_conv"),
    ]
    # torchvision's layer2.0.downsample.0.weight is [512, 256, 1, 1].
    assert block["downsample_conv"]["kernel"].shape == (1, 1, 256, 512)
    assert "downsample_conv" not in variables["params"]["layer2_1"]


def test_padding_is_symmetric():
    # XLA's "SAME" pads an even image on its right side only; torchvision on both.
    module = layers.conv(1, 3, 2, padding=1, dtype=jnp.float32, name="conv")
    x = normal(1, 4, 4, 1)
    kernel = normal(3, 3, 1, 1)
    out = module.apply({"params": {"kernel": kernel}}, x)
    padded = np.pad(x[0, :, :, 0], 1)
    expected = [
        [(padded[i : i + 3, j : j + 3] * kernel[..., 0, 0]).sum() for j in (0, 2)]
        for i in (0, 2)
    ]
    np.testing.assert_allclose(out[0, :, :, 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": "resnet51"}, "'resnet51'; known: .*resnet18.*resnet50"),
        ({"stem": "big"}, "'big'; known: imagenet, small"),
        ({"last_stride": 3}, "last_stride is 3; it must be 1 or 2"),
    ],
)
def test_resnet_refuses_unknown_options(options, message):
    with pytest.raises(ValueError, match=message):
        shapes(ResNet(**options), jnp.ones((1, 64, 32, 3)), train=False)


def test_batch_norm_is_over_the_global_batch():
    # Every device sees a different mean: statistics per device would differ.
    x = normal(8, 8, 8, 3) + np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1)
    block = resnet.Block(channels=4, stride=2, bottleneck=False)
    variables = block.init(jax.random.key(0), x, train=False)
    step = jax.jit(functools.partial(block.apply, train=True, mutable=["batch_stats"]))
    whole = step(variables, x)
    mesh = Mesh(np.array(jax.devices()), ("data",))
    assert mesh.size == 8
    parts = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    variables = jax.device_put(variables, NamedSharding(mesh, PartitionSpec()))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5),
        step(variables, parts),
        whole,
    )


def test_max_over_passes_the_gradient_to_the_first_maximum():
    x = jnp.array([[1.0, 5.0, 2.0], [-3.0, -1.0, -1.0]])
    value, pull = jax.vjp(functools.partial(layers.max_over, axis=1), x)
    np.testing.assert_array_equal(value, [5, -1])
    np.testing.assert_array_equal(
        pull(jnp.array([2.0, 7.0]))[0], [[0, 2, 0], [0, 7, 0]]
    )


def test_batch_norm_reduces_bfloat16_in_float32():
    # A sum kept in bfloat16 (8 bits of mantissa) would lose most of the addends.
    norm = layers.batch_norm(True, dtype=jnp.bfloat16, name="bn")
    x = jnp.full((300, 1), 257.0, jnp.bfloat16) + jnp.arange(300)[:, None] % 2
    variables = norm.init(jax.random.key(0), x)
    _, updated = norm.apply(variables, x, mutable=["batch_stats"])
    mean = updated["batch_stats"]["mean"]
    assert mean.dtype == jnp.float32
    np.testing.assert_allclose(mean, 0.1 * np.asarray(x, np.float32).mean(), rtol=1e-5)


# 128 channels each way are enough for fewer multiplications, 127 are not.
@pytest.mark.parametrize(
    ("shape", "channels", "stride"),
    [
        ((2, 4, 6, 128), 128, 1),
        ((2, 5, 1, 130), 128, 1),
        ((2, 5, 4, 127), 128, 1),
        ((2, 5, 4, 128), 128, 2),
    ],
)
def test_convolution_is_flaxs_with_its_gradients(shape, channels, stride):
    x, kernel = normal(*shape), normal(3, 3, shape[-1], channels)
    net = layers.conv(channels, 3, stride, padding=1, dtype=jnp.float32, name="c")
    gradient = normal(shape[0], *(-(-n // stride) for n in shape[1:3]), channels)
    reference = nn.Conv(
        channels, (3, 3), stride, padding=1, use_bias=False, precision="highest"
    )

    @functools.partial(jax.jit, static_argnums=0)
    def value_and_gradients(module, x, kernel):
        def run(x, kernel):
            return module.apply({"params": {"kernel": kernel}}, x)

        value, pull = jax.vjp(run, x, kernel)
        return value, *pull(gradient)

    ours = value_and_gradients(net, x, kernel)
    for a, b in zip(ours, value_and_gradients(reference, x, kernel), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_max_pool_is_flaxs_with_its_gradient():
    x = normal(2, 6, 5, 3)
    options = {"strides": (2, 2), "padding": ((1, 1), (1, 1))}
    want, pull_reference = jax.vjp(lambda x: nn.max_pool(x, (3, 3), **options), x)
    got, pull_ours = jax.vjp(layers.max_pool, x)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(pull_ours(want)[0], pull_reference(want)[0], rtol=1e-6)


def test_only_a_cpu_convolves_with_fewer_multiplications():
    net = layers.conv(128, 3, padding=1, dtype=jnp.float32, name="c")
    variables = {"params": {"kernel": normal(3, 3, 128, 128)}}
    traced = jax.jit(net.apply).trace(variables, normal(1, 4, 4, 128))
    for platform, convolves in (("cpu", False), ("tpu", True), ("cuda", True)):
        program = traced.lower(lowering_platforms=(platform,)).as_text()
        assert ("stablehlo.convolution" in program) == convolves
        assert ("stablehlo.dot_general" in program) != convolves


@pytest.mark.parametrize("stride", [1, 2])
def test_pointwise_is_a_1x1_convolution_with_its_gradients(stride):
    x, kernel = normal(2, 5, 3, 4), normal(1, 1, 4, 6)
    net = layers.conv(6, 1, stride, padding=0, dtype=jnp.float32, name="c")
    strides, numbers = (stride, stride), ("NHWC", "HWIO", "NHWC")

    def reference(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, strides, "VALID", dimension_numbers=numbers, precision="highest"
        )

    def ours(x, kernel):
        return net.apply({"params": {"kernel": kernel}}, x)

    assert shapes(net, x)[1]["params"]["kernel"].shape == kernel.shape
    want, pull_reference = jax.vjp(reference, x, kernel)
    got, pull_ours = jax.vjp(ours, x, kernel)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    for a, b in zip(pull_ours(want), pull_reference(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("platform", "convolves"), [("cpu", False), ("tpu", True)])
def test_pointwise_is_a_product_on_a_cpu_alone(platform, convolves):
    net = layers.conv(6, 1, padding=0, dtype=jnp.float32, name="c")
    variables = {"params": {"kernel": normal(1, 1, 4, 6)}}
    traced = jax.jit(net.apply).trace(variables, normal(2, 5, 3, 4))
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert ("stablehlo.convolution" in program) == convolves
    assert ("stablehlo.dot_general" in program) != convolves
