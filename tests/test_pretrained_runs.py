"""Runs that start with weights from files, and resume from their own."""

import flax.linen as nn
import jax
import numpy as np
import pytest
import tiny
from flax.traverse_util import flatten_dict
from modules import shapes
from safetensors.numpy import save_file

from mbnet_jax.backbones import BACKBONES, Backbone, Features, pretrained
from mbnet_jax.backbones.pretrained import load_pretrained
from mbnet_jax.backbones.resnet import DEPTHS, ResNet
from mbnet_jax.backbones.torchvision_names import torch_name
from mbnet_jax.data import load_dataset
from mbnet_jax.devices.mesh import make_mesh, replicated
from mbnet_jax.models.branches import owned_backbones
from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints
from mbnet_jax.runs.network import abstract_variables, make_model
from mbnet_jax.runs.run_folder import RunFolder, num_classes
from mbnet_jax.training.optimizer import make_optimizer, make_schedule
from mbnet_jax.training.plan import make_plan
from mbnet_jax.training.start import start


def write_weights(path, depth, seed):
    """Writes random weights under PyTorch's names. Returns them as our variables."""
    x = np.zeros((1, 64, 32, 3), np.float32)
    _, variables = shapes(ResNet(*DEPTHS[depth]), x, train=False)
    rng = np.random.default_rng(seed)
    variables = jax.tree.map(
        lambda v: rng.uniform(0.01, 0.02, v.shape).astype(np.float32), variables
    )
    save_file(
        {
            torch_name(p): np.ascontiguousarray(
                v.transpose(3, 2, 0, 1) if v.ndim == 4 else v
            )
            for p, v in flatten_dict(variables).items()
        },
        path,
    )
    return variables


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of two networks' weights, and the weights, by name."""
    folder = tmp_path_factory.mktemp("weights")
    paths = [folder / "colour.safetensors", folder / "mask.safetensors"]
    weights = [write_weights(path, "resnet10", i) for i, path in enumerate(paths)]
    return [str(path) for path in paths], weights


def standard(branches, root="data"):
    """A config whose backbones are standard networks, and without modules."""
    config = tiny.tiny_config(root)
    tiny.set_backbones(config, width=64, stem="imagenet")
    config.model.update(
        branches=branches, ktm=False, fam=False, cfm=False, balance=False
    )
    return config


def load(config):
    """What a new run of the config starts with."""
    model = config.model
    modules = owned_backbones(model.branches, model.backbones)
    variables = abstract_variables(config, make_model(config.model, 4))
    return load_pretrained(config.model.backbones, modules, variables)


def test_a_new_run_starts_with_the_weights_and_resumes_with_its_own(
    files, tmp_path, capsys
):
    (path, _), (weights, _) = files
    config = standard(("global",), tmp_path / "data")
    config.model.backbones["global"].weights = path
    config.train.ema = 0.9
    dataset = load_dataset(config)
    mesh = make_mesh(jax.devices()[:2])
    run = tmp_path / "run"
    RunFolder.create(run, config, dataset)
    model = make_model(config.model, num_classes(dataset.train))
    optimizer = make_optimizer(config.train, make_schedule(config.train, 1))

    plan = make_plan(config, dataset, mesh)

    def begin():
        """The state that training begins with."""
        with Checkpoints(run) as checkpoints:
            return start(
                config, dataset, model, optimizer, checkpoints, run, mesh, plan
            )[0]

    state = begin()
    for kind, tree in state.variables.items():
        ours = tree["global_backbone"]
        jax.tree.map(np.testing.assert_array_equal, ours, weights[kind])
    jax.tree.map(np.testing.assert_array_equal, state.average, state.params)
    assert jax.tree.leaves(state.params)[0].sharding == replicated(mesh)
    line = f"global_backbone starts with the weights of {path}\n"
    assert line in capsys.readouterr().out
    assert (run / "parameters.txt").read_text().endswith(line)

    state = state.replace(params=jax.tree.map(lambda p: p + 1, state.params))
    with Checkpoints(run) as checkpoints:
        checkpoints.save(0, state.parts(), NO_BEST | {"evaluated": 0})
    # A resumed run does not need the file.
    config.model.backbones["global"].weights = "gone.npz"
    resumed = begin()
    jax.tree.map(np.testing.assert_array_equal, resumed, state)
    line = f"model.backbones.global.weights: {path} -> gone.npz (no effect"
    assert line in capsys.readouterr().out


def test_each_branch_starts_with_its_own_weights(files):
    (colour, mask), weights = files
    config = standard(("clothing_unrelated", "global", "mask"))
    backbones = config.model.backbones

    def last(loaded, branch):
        tree = loaded.variables["params"][f"{branch}_backbone"]
        return tree["layer4_0"]["conv2"]["kernel"]

    for branch in ("global", "clothing_unrelated"):
        backbones[branch].weights = colour
    backbones.mask.weights = mask
    loaded = load(config)
    for branch, which in (("global", 0), ("clothing_unrelated", 0), ("mask", 1)):
        np.testing.assert_array_equal(
            last(loaded, branch),
            weights[which]["params"]["layer4_0"]["conv2"]["kernel"],
        )
    assert loaded.variables["batch_stats"].keys() == loaded.sources.keys()
    assert loaded.sources == {
        "global_backbone": colour,
        "clothing_unrelated_backbone": colour,
        "mask_backbone": mask,
    }
    for branch in ("global", "clothing_unrelated"):
        backbones[branch].weights = ""
    assert list(load(config).sources) == ["mask_backbone"]
    backbones.mask.weights = ""
    assert not load(config).sources


def test_branches_of_one_file_read_it_once(files, monkeypatch):
    (colour, _), _ = files
    config = standard(("global", "clothing_unrelated"))
    tiny.set_backbones(config, weights=colour)
    read, sources = pretrained.read_weights, []

    def recording(source):
        sources.append(source)
        return read(source)

    monkeypatch.setattr(pretrained, "read_weights", recording)
    assert len(load(config).sources) == 2
    assert sources == [colour]


def test_a_branch_that_is_off_loads_nothing():
    config = standard(("mask",))
    config.model.backbones["global"].weights = "gone.npz"
    assert not load(config).sources


@pytest.mark.parametrize(
    ("branch", "fields", "error", "message"),
    [
        (
            "global",
            {"weights": "gone.npz"},
            FileNotFoundError,
            r"model\.backbones\.global\.weights='gone\.npz': no such file: gone\.npz",
        ),
        (
            "mask",
            {"weights": "timm/x", "stem": "small", "width": 16},
            ValueError,
            r"model\.backbones\.mask\.weights='timm/x': .* set width=64 and "
            r"stem='imagenet' instead of 16 and 'small'",
        ),
        (
            "global",
            {"weights": "timm/x", "width": 32},
            ValueError,
            r"model\.backbones\.global\.weights='timm/x': .* set width=64 and "
            r"stem='imagenet' instead of 32 and 'imagenet'",
        ),
    ],
)
def test_an_error_names_the_field_and_the_remedy(branch, fields, error, message):
    config = standard(("global", "mask"))
    config.model.backbones[branch].update(fields)
    with pytest.raises(error, match=message):
        load(config)


def test_another_network_is_rejected_before_the_file_is_read():
    config = standard(("global",))
    config.model.backbones["global"].update(weights="gone.npz", stem="patch")
    with pytest.raises(ValueError, match="public weights fit the standard network"):
        load(config)


def test_the_last_stride_is_free():
    # It changes no parameter: 1 is usual in re-identification.
    for stride in (1, 2):
        config = standard(("global",))
        config.model.backbones["global"].update(weights="gone.npz", last_stride=stride)
        with pytest.raises(FileNotFoundError):
            load(config)


def test_weights_of_another_depth_name_the_field(files):
    (colour, _), _ = files
    config = standard(("global", "mask"))
    config.model.backbones.mask.update(name="resnet18", weights=colour)
    message = (
        r"model\.backbones\.mask\.weights=.*: they are resnet10's, not resnet18's"
        r"\n  40 missing"
    )
    with pytest.raises(ValueError, match=message):
        load(config)


# Backbones of other families


class Linear(nn.Module):
    """A backbone without batch statistics."""

    dtype: type

    @nn.compact
    def __call__(self, x, *, train):
        return Features(nn.Dense(4, use_bias=False, name="linear")(x))


def linear_config(monkeypatch, **fields):
    """A config of the global branch with `Linear`, starting from `weights.npz`."""
    monkeypatch.setitem(BACKBONES, "linear", Backbone(make=Linear, **fields))
    config = standard(("global",))
    config.model.backbones["global"].update(name="linear", weights="weights.npz")
    return config


def test_a_backbone_without_public_weights_rejects_a_source(monkeypatch):
    config = linear_config(monkeypatch)
    message = (
        r"model\.backbones\.global\.weights='weights\.npz': the backbone linear reads "
        r"no public weights; set weights=''"
    )
    with pytest.raises(ValueError, match=message):
        load(config)
    config.model.backbones["global"].weights = ""
    assert not load(config).sources


def test_a_backbone_converts_its_weights_by_itself(tmp_path, monkeypatch):
    kernel = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.savez(tmp_path / "weights.npz", **{"fc.weight": kernel.T})
    monkeypatch.chdir(tmp_path)

    def convert(weights, variables):
        (wanted,) = jax.tree.leaves(variables)
        converted = weights["fc.weight"].T
        assert wanted.shape == converted.shape
        return {"params": {"linear": {"kernel": converted}}}

    loaded = load(linear_config(monkeypatch, convert=convert))
    found = loaded.variables["params"]["global_backbone"]["linear"]["kernel"]
    np.testing.assert_array_equal(found, kernel)
    assert not loaded.variables["batch_stats"]
    assert loaded.sources == {"global_backbone": "weights.npz"}
