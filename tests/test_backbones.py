"""The table of backbones: how configs name them, and the input that each expects."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from modules import normal, shapes

from mbnet_jax import backbones
from mbnet_jax.backbones import BACKBONES, Backbone, Features, resnet
from mbnet_jax.models import MBNet
from mbnet_jax.views import normalise


class Echo(nn.Module):
    """A backbone whose map is its input."""

    gain: float = 1.0
    dtype: type = jnp.float32

    def __call__(self, x, *, train):
        return Features(self.gain * x)


def register(monkeypatch, name="echo", **fields):
    """Registers `Echo` for one test."""
    monkeypatch.setitem(BACKBONES, name, None)  # restored after the test
    backbones.register(name, Backbone(make=Echo, **fields))


def make(config):
    return backbones.make_backbone(config, dtype=jnp.float32, name="backbone")


def test_every_residual_network_is_known_with_its_blocks():
    for name, (blocks, bottleneck) in resnet.DEPTHS.items():
        made = make({"name": name, "width": 8, "stem": "patch", "last_stride": 2})
        assert made == resnet.ResNet(blocks, bottleneck, 8, "patch", 2, name="backbone")


def test_an_unknown_backbone_is_rejected_with_those_near():
    message = "unknown backbone 'resnet51'; nearest known: resnet10, resnet18, resnet50"
    with pytest.raises(ValueError, match=message):
        make({"name": "resnet51"})
    with pytest.raises(ValueError, match=message):
        backbones.renormalised(normal(1, 2, 2, 3), "resnet51")


def test_make_takes_only_its_own_fields(monkeypatch):
    register(monkeypatch, fields=("gain",))
    assert make({"name": "echo", "gain": 3.0, "width": 64, "weights": ""}).gain == 3
    assert make({"name": "echo"}).gain == 1  # the module's default


def test_register_replaces_an_earlier_backbone(monkeypatch):
    register(monkeypatch, name="resnet50")
    assert isinstance(make({"name": "resnet50"}), Echo)


@pytest.mark.parametrize("name", resnet.DEPTHS)
def test_input_normalised_as_imagenet_is_unchanged(name):
    x = normal(1, 2, 2, 3)
    assert backbones.renormalised(x, name) is x


MEAN, STD = (0.5, 0.4, 0.3), (0.5, 0.25, 0.125)


def test_input_is_scaled_to_the_constants_of_the_backbone(monkeypatch):
    register(monkeypatch, mean=MEAN, std=STD)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    scaled = backbones.renormalised(normalise(pixels), "echo")
    expected = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(scaled, expected, atol=2e-6)


@pytest.mark.parametrize("fields", [{"mean": MEAN}, {"std": STD}])
def test_one_constant_is_enough_to_differ(monkeypatch, fields):
    register(monkeypatch, **fields)
    x = normal(1, 2, 2, 3)
    assert np.abs(backbones.renormalised(x, "echo") - x).max() > 0.1


def test_a_view_of_one_channel_is_not_scaled(monkeypatch):
    register(monkeypatch, mean=MEAN, std=STD)
    silhouette = normal(1, 2, 2, 1)
    assert backbones.renormalised(silhouette, "echo") is silhouette


def test_the_network_scales_the_input_of_each_branch(monkeypatch):
    register(monkeypatch, mean=MEAN, std=STD)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    views = {"image": normalise(pixels), "silhouette": normal(2, 5, 4, 1)}
    model = MBNet(
        3,
        {branch: {"name": "echo"} for branch in ("global", "mask")},
        branches=("global", "mask"),
        pooling="avg",
        ktm=False,
    )
    out, _ = model.init_with_output(jax.random.key(0), views, train=False)
    expected = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(out.features["global"], expected.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(
        out.features["mask"], views["silhouette"].mean((1, 2)), atol=1e-6
    )


def test_a_backbone_may_have_no_parameters_and_no_token(monkeypatch):
    register(monkeypatch)
    out, variables = shapes(make({"name": "echo"}), normal(1, 2, 2, 3), train=False)
    assert out.map.shape == (1, 2, 2, 3) and out.token is None
    assert not variables
