"""Transformers against timm, where it is installed: random weights, all tokens."""

import functools
import importlib

import jax
import numpy as np
import pytest
import timm_weights as reference
from modules import normal, shapes
from safetensors.numpy import save_file

from mbnet_jax import backbones
from mbnet_jax.backbones.transformer import Transformer
from mbnet_jax.backbones.weights import timm_names
from mbnet_jax.backbones.weights.files import read_weights
from mbnet_jax.backbones.weights.resample import resampled

torch = pytest.importorskip("torch")
twin = importlib.import_module("timm_twin")  # needs PyTorch


@pytest.fixture(scope="module", autouse=True)
def timm():
    try:
        return twin.import_timm()
    except ImportError:
        pytest.skip("timm is not installed")


def assert_equal(out, expected):
    token, cells = expected
    np.testing.assert_allclose(out.token, token, rtol=0, atol=1e-4)
    ours = out.map.reshape(cells.shape)
    np.testing.assert_allclose(ours, cells, rtol=0, atol=1e-4)


def run(net, variables, x):
    apply = functools.partial(net.apply, train=False)
    options = {"xla_backend_optimization_level": "0"}
    return jax.jit(apply).lower(variables, x).compile(options)(variables, x)


def saved(net, path):
    """Writes the arrays of timm's network, and reads them as a user's file is."""
    save_file(net, path)
    return read_weights(str(path))


@pytest.mark.parametrize("name", reference.SMALL)
def test_all_tokens_of_small_networks(name, tmp_path):
    kind, (square, portrait) = reference.small_kind(name), reference.sizes(name)
    native = twin.small(name, (kind.grid * kind.patch,) * 2)
    weights = saved(twin.randomise(native, seed=1), tmp_path / "w.safetensors")
    sizes = [square, portrait]
    if kind.grid == 14 and name.startswith("vit_tiny"):
        sizes.append((28 * 16, 7 * 16))  # of 14x14's number of cells
    for size in sizes:
        theirs = twin.small(name, size)
        # timm's own loading, which resamples the position embedding.
        theirs.pretrained_model_args = {"img_size": kind.grid * kind.patch}
        twin.load(theirs, weights)
        x = normal(2, *size, 3)
        net = Transformer(kind)
        variables = shapes(net, x, train=False)[1]
        converted = timm_names.convert(weights, variables, kind=kind)
        assert_equal(run(net, converted, x), twin.tokens(theirs, x))


@pytest.mark.parametrize("size", [(224, 224), (252, 126)])
def test_a_whole_network(size, timm, tmp_path):
    name = "eva02_tiny_patch14_224"
    theirs = timm.create_model(name, pretrained=False).eval()
    path = tmp_path / "model.safetensors"
    save_file(twin.randomise(theirs, seed=2), path)
    theirs.set_input_size(img_size=size)
    x = normal(1, *size, 3)
    tagged = f"{name}.mim_in22k"
    net, variables = backbones.load_backbone(
        tagged, str(path), height=size[0], width=size[1]
    )
    assert_equal(run(net, variables, x), twin.tokens(theirs, x))


def test_networks_have_the_constants_of_timm(timm):
    checked = 0
    for name in timm.list_models(pretrained=True):
        bare = name.partition(".")[0]
        if bare in backbones.BACKBONES and not bare.startswith("resnet"):
            own = timm.models.get_pretrained_cfg(name)
            ours = backbones.BACKBONES[name]
            assert (ours.mean, ours.std) == (own.mean, own.std), name
            checked += 1
    assert checked > 60


@pytest.mark.parametrize("size", [(16, 8), (24, 12), (18, 9), (14, 14), (40, 3)])
def test_positions_are_resampled_as_by_pytorch(size):
    table = normal(14, 14, 5)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(table).permute(2, 0, 1)[None],
        size=size,
        mode="bicubic",
        antialias=True,
    )
    expected = theirs[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(resampled(table, size), expected, rtol=0, atol=1e-5)
