"""The layers that modules and backbones share: values, gradients, programs."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from modules import normal, shapes

from mbnet_jax.backbones import layers, resnet

pytestmark = pytest.mark.gpu


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


def convolved(x, kernel, gradient, stride, padding):
    """A convolution and its gradients to x and kernel, in NumPy, from a gradient."""
    edges = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = np.pad(x, edges)
    size = kernel.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(1, 2))
    windows = windows[:, ::stride, ::stride]  # [B, h, w, c, k, k]
    to_padded = np.zeros_like(padded)
    h, w = gradient.shape[1:3]
    for i, j in np.ndindex(*size):
        rows = slice(i, i + stride * (h - 1) + 1, stride)
        columns = slice(j, j + stride * (w - 1) + 1, stride)
        to_padded[:, rows, columns] += gradient @ kernel[i, j].T
    inside = slice(padding, -padding or None)
    return (
        np.einsum("bhwcij,ijcd->bhwd", windows, kernel),
        to_padded[:, inside, inside],
        np.einsum("bhwcij,bhwd->ijcd", windows, gradient),
    )


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [
        ((2, 4, 6, 8), 3, 1, 1),
        ((2, 5, 1, 10), 3, 1, 1),
        ((2, 5, 4, 7), 3, 2, 1),
        ((2, 9, 6, 3), 7, 2, 3),
        ((2, 8, 12, 3), 4, 4, 0),
    ],
)
def test_convolution_matches_numpy_with_its_gradients(shape, kernel, stride, padding):
    net = layers.conv(6, kernel, stride, padding=padding, dtype=jnp.float32, name="c")
    x, weights = normal(*shape), normal(kernel, kernel, shape[-1], 6)

    @jax.jit
    def run(x, weights):
        return net.apply({"params": {"kernel": weights}}, x)

    value, pull = jax.vjp(run, x, weights)
    gradient = normal(*value.shape)
    ours = value, *pull(gradient)
    expected = convolved(x, weights, gradient, stride, padding)
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_max_pool_equals_that_of_flax_with_its_gradient():
    x = normal(2, 6, 5, 3)
    options = {"strides": (2, 2), "padding": ((1, 1), (1, 1))}
    want, pull_reference = jax.vjp(lambda x: nn.max_pool(x, (3, 3), **options), x)
    got, pull_ours = jax.vjp(layers.max_pool, x)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(pull_ours(want)[0], pull_reference(want)[0], rtol=1e-6)


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
def test_pointwise_is_a_product_only_on_a_cpu(platform, convolves):
    net = layers.conv(6, 1, padding=0, dtype=jnp.float32, name="c")
    variables = {"params": {"kernel": normal(1, 1, 4, 6)}}
    traced = jax.jit(net.apply).trace(variables, normal(2, 5, 3, 4))
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert ("stablehlo.convolution" in program) == convolves
    assert ("stablehlo.dot_general" in program) != convolves


def test_max_over_passes_the_gradient_to_the_first_maximum():
    x = jnp.array([[1.0, 5.0, 2.0], [-3.0, -1.0, -1.0]])
    value, pull = jax.vjp(functools.partial(layers.max_over, axis=1), x)
    np.testing.assert_array_equal(value, [5, -1])
    np.testing.assert_array_equal(
        pull(jnp.array([2.0, 7.0]))[0], [[0, 2, 0], [0, 7, 0]]
    )


def several_devices():
    """The mesh of all devices; with a single one nothing is exchanged."""
    if jax.device_count() == 1:
        pytest.skip("needs several devices")
    return Mesh(np.array(jax.devices()), ("data",))


def test_batch_norm_is_over_the_global_batch():
    # Every device sees a different mean: statistics per device would differ.
    x = normal(8, 8, 8, 3) + np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1)
    block = resnet.Block(channels=4, stride=2, bottleneck=False)
    variables = block.init(jax.random.key(0), x, train=False)
    step = jax.jit(functools.partial(block.apply, train=True, mutable=["batch_stats"]))
    whole = step(variables, x)
    mesh = several_devices()
    parts = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    variables = jax.device_put(variables, NamedSharding(mesh, PartitionSpec()))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5),
        step(variables, parts),
        whole,
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


def test_groups_of_images_have_batch_statistics_of_their_own():
    x = normal(8, 3, 2, 4) + np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1)
    whole = layers.batch_norm(True, dtype=jnp.float32, name="bn")
    groups = layers.batch_norm(True, dtype=jnp.float32, name="bn", images=2)
    variables = whole.init(jax.random.key(0), x)
    assert shapes(groups, x) == shapes(whole, x)
    variables["params"]["scale"] = normal(4)
    variables["params"]["bias"] = normal(4)

    def run(net, x):
        return net.apply(variables, x, mutable=["batch_stats"])

    y, updated = run(groups, x)
    each = [run(whole, x[i : i + 2]) for i in range(0, 8, 2)]
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    close(y, np.concatenate([result for result, _ in each]))
    stats = [update["batch_stats"] for _, update in each]
    jax.tree.map(
        lambda new, *parts: close(new, np.mean(parts, axis=0)),
        updated["batch_stats"],
        *stats,
    )
    with pytest.raises(ValueError, match="8 images has no whole groups"):
        run(layers.batch_norm(True, dtype=jnp.float32, name="bn", images=3), x)


def test_groups_on_one_device_exchange_nothing():
    mesh = several_devices()
    x = jax.ShapeDtypeStruct(
        (16, 4, 4, 3), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec("data"))
    )

    def program(images):
        net = layers.batch_norm(True, dtype=jnp.float32, name="bn", images=images)
        variables = jax.eval_shape(net.init, jax.random.key(0), x)
        run = jax.jit(lambda v, x: net.apply(v, x, mutable=["batch_stats"])[0])
        return run.lower(variables, x).compile().as_text()

    assert "all-reduce" in program(0)
    assert "all-reduce" in program(4)
    assert not any(kind in program(2) for kind in ("all-reduce", "all-gather"))
