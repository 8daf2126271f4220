"""Weights from torchvision give the same maps; errors name what does not fit."""

import functools
import re

import jax
import numpy as np
import pytest
import torchvision_weights as reference
from flax.traverse_util import flatten_dict
from modules import normal, shapes

from mbnet_jax.backbones.resnet import DEPTHS, ResNet
from mbnet_jax.backbones.torchvision_names import convert


@functools.cache
def generated(depth):
    return reference.generate(depth)


def variables_of(depth, channels=3):
    x = np.zeros((1, 64, 32, channels), np.float32)
    _, variables = shapes(ResNet(*DEPTHS[depth]), x, train=False)
    return variables


@functools.cache
def our_map(depth, last_stride):
    net = ResNet(*DEPTHS[depth], last_stride=last_stride)
    variables = convert(generated(depth), variables_of(depth))
    apply = functools.partial(net.apply, train=False)
    # It runs once, so optimizing it would take most of the time.
    compiled = jax.jit(apply).lower(variables, reference.image())
    options = {"xla_backend_optimization_level": "0"}
    return compiled.compile(options)(variables, reference.image()).map


@pytest.mark.parametrize(("depth", "last_stride"), reference.CASES)
def test_maps_equal_those_of_torchvision(depth, last_stride):
    with np.load(reference.MAPS) as maps:
        expected = maps[f"{depth}_stride{last_stride}"]
    assert expected.std() > 0.3  # much more than the tolerance, 1e-4
    ours = our_map(depth, last_stride)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("depth", "last_stride"), reference.CASES)
def test_maps_equal_those_of_the_pytorch_twin(depth, last_stride):
    pytest.importorskip("torch")
    from torchvision_twin import twin_map

    expected = twin_map(depth, last_stride)
    ours = our_map(depth, last_stride)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("depth", reference.DEPTHS)
def test_every_variable_is_converted(depth):
    expected = flatten_dict(variables_of(depth))
    converted = flatten_dict(convert(generated(depth), variables_of(depth)))
    assert {k: v.shape for k, v in converted.items()} == {
        k: v.shape for k, v in expected.items()
    }
    assert {v.dtype for v in converted.values()} == {np.dtype(np.float32)}


def test_a_stem_of_one_channel_takes_the_mean_of_three():
    # On x it returns what the original returns on an image with x / 3 in each channel.
    weights = generated("resnet18")
    x = normal(1, 9, 9, 1)
    stems = [
        convert(weights, variables_of("resnet18", channels))["params"]["conv1"]
        for channels in (1, 3)
    ]
    assert stems[0]["kernel"].shape == (7, 7, 1, 64)
    one, three = (
        jax.lax.conv_general_dilated(
            image,
            s["kernel"],
            (2, 2),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        for image, s in zip((x, np.repeat(x / 3, 3, axis=-1)), stems, strict=True)
    )
    np.testing.assert_allclose(one, three, atol=1e-5)


def test_a_stem_of_one_channel_in_the_file_is_used_unchanged():
    weights = generated("resnet18")
    weights = weights | {"conv1.weight": weights["conv1.weight"][:, :1]}
    converted = convert(weights, variables_of("resnet18", channels=1))
    np.testing.assert_array_equal(
        converted["params"]["conv1"]["kernel"][2, 5, 0],
        weights["conv1.weight"][:, 0, 2, 5],
    )


def test_half_precision_is_converted_to_float32():
    weights = {k: v.astype(np.float16) for k, v in generated("resnet18").items()}
    kernel = convert(weights, variables_of("resnet18"))["params"]["conv1"]["kernel"]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel[0, 0, 0], weights["conv1.weight"][:, 0, 0, 0])


def test_counters_and_classifier_may_be_missing():
    # torchvision's oldest files have no counters, other files no classifier.
    weights = {
        name: value
        for name, value in generated("resnet18").items()
        if not name.endswith("tracked") and not name.startswith("fc.")
    }
    assert convert(weights, variables_of("resnet18"))


def test_weights_that_do_not_fit_are_listed():
    weights = dict(generated("resnet18"))
    del weights["layer3.0.downsample.1.running_var"]
    weights["layer1.0.se.weight"] = np.zeros(3)
    weights["conv1.weight"] = weights["conv1.weight"][..., :5, :5]
    weights["bn1.bias"] = np.full(64, np.nan)
    with pytest.raises(ValueError) as error:
        convert(weights, variables_of("resnet18"))
    assert str(error.value).splitlines() == [
        "the weights do not fit the network",
        "  1 missing: layer3.0.downsample.1.running_var",
        "  1 not in the network: layer1.0.se.weight",
        "  1 of another shape: conv1.weight (64, 3, 5, 5), not (64, 3, 7, 7)",
        "  1 not finite: bn1.bias",
    ]


def test_another_depth_is_named():
    message = re.escape("they are resnet34's, not resnet18's")
    with pytest.raises(ValueError, match=rf"{message}\n.* 80 not in the network: .*"):
        convert(generated("resnet34"), variables_of("resnet18"))
    with pytest.raises(
        ValueError, match="are another kind of network's, not resnet18's"
    ):
        convert({"blocks.0.weight": np.zeros(3)}, variables_of("resnet18"))


def test_a_long_list_is_cut_and_counted():
    with pytest.raises(ValueError, match=r"100 missing: .*, and 94 more$"):
        convert({}, variables_of("resnet18"))
