"""A backbone by timm's name, with weights or without; errors name the argument."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import timm_weights as reference
import torchvision_weights
from hub_client import fake_hub
from modules import normal, shapes
from safetensors.numpy import save_file

from mbnet_jax.backbones import BACKBONES, load_backbone
from mbnet_jax.backbones.weights.pretrained import load_pretrained
from mbnet_jax.backbones.weights.timm_names import published

NAME = "eva02_base_patch16_clip_224"


pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")


@pytest.fixture
def small(monkeypatch):
    """`NAME` becomes a small network of its family."""
    own = BACKBONES[NAME]
    kind = reference.small_kind(NAME)
    monkeypatch.setitem(BACKBONES, NAME, published(NAME, kind, own.mean, own.std))


def test_weights_of_a_hub_id_in_open_clips_spelling(
    small, tmp_path, monkeypatch, capsys
):
    def download(repository, file, local_files_only):
        if file != "open_clip_model.safetensors":
            raise OSError("no such file")
        own = reference.generate(NAME)
        file = tmp_path / file
        text = {"text.ln_final.bias": np.zeros(3), "logit_scale": np.zeros(())}
        save_file({f"visual.trunk.{k}": v for k, v in own.items()} | text, file)
        return str(file)

    fake_hub(monkeypatch, download)
    hub_id = "timm/eva02_base_patch16_clip_224.merged2b_s8b_b131k"
    net, variables = load_backbone(f"{NAME}.merged2b", hub_id, height=256, width=128)
    assert capsys.readouterr().out == f"{hub_id}: its text tower is left out\n"
    assert {type(x) for x in jax.tree.leaves(variables)} == {np.ndarray}
    out = net.apply(variables, reference.image((256, 128)), train=False)
    with np.load(reference.FEATURES) as features:
        expected = features[f"{NAME}_256x128"]
    np.testing.assert_allclose(out.token[0], expected[0], rtol=0, atol=1e-4)
    assert out.map.shape == (1, 16, 8, 64)


def test_a_run_says_what_is_left_out(small, tmp_path):
    path, own = str(tmp_path / "towers.npz"), reference.generate(NAME)
    text = {"text.ln_final.bias": np.zeros(3), "logit_scale": np.zeros(())}
    np.savez(path, **{f"visual.trunk.{k}": v for k, v in own.items()} | text)
    net = BACKBONES[NAME].make()
    _, variables = shapes(net, reference.image((32, 32)), train=False)
    config = {"global": {"name": NAME, "weights": path}}
    loaded = load_pretrained(
        config, {"global": "backbone"}, {"params": {"backbone": variables["params"]}}
    )
    assert loaded.sources == {"backbone": f"{path}; its text tower is left out"}
    found = loaded.variables["params"]["backbone"]["norm"]["bias"]
    np.testing.assert_array_equal(found, own["norm.bias"])


@pytest.mark.parametrize("weights", ["", None])
def test_random_weights_and_other_fields(small, weights):
    net, variables = load_backbone(
        NAME, weights, height=32, width=16, dtype=jnp.bfloat16, drop_path=0.1
    )
    assert net.drop_path == 0.1
    assert {x.dtype for x in jax.tree.leaves(variables)} == {np.dtype(np.float32)}
    out = net.apply(variables, normal(2, 32, 16, 3), train=False)
    assert out.map.shape == (2, 2, 1, 64) and out.map.dtype == jnp.bfloat16
    assert out.token.shape == (2, 64)


def test_a_residual_network_is_torchvisions(tmp_path):
    path = tmp_path / "resnet18.npz"
    np.savez(path, **torchvision_weights.generate("resnet18"))
    net, variables = load_backbone("resnet18.tv_in1k", str(path), height=64, width=32)
    apply = functools.partial(net.apply, train=False)
    out = jax.jit(apply)(variables, torchvision_weights.image())
    with np.load(torchvision_weights.MAPS) as maps:
        expected = maps["resnet18_stride2"]
    np.testing.assert_allclose(out.map, expected, rtol=0, atol=1e-4)
    assert out.token is None
    with pytest.raises(ValueError, match=r"weights='.*': public .* set width=64"):
        load_backbone("resnet18", str(path), height=64, width=32, stem="patch")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "eva03"}, "name='eva03': unknown backbone 'eva03'; known: resnet10"),
        ({"height": 250}, "height=250 must be a multiple of 16, the patch .* is 256"),
        ({"width": 0}, "width=0 must be a multiple of 16, .* the nearest is 16"),
        ({"stem": "patch"}, "unknown field of .* 'stem'; known: drop_path, remat"),
        ({"weights": "a/b.npz"}, r"weights='a/b\.npz': no such file: a/b\.npz"),
    ],
)
def test_errors_name_the_argument(arguments, message):
    arguments = {"name": NAME, "weights": "", "height": 256, "width": 128} | arguments
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_backbone(**arguments)
