"""Runs that start with weights from files, and go on from their own."""

import jax
import numpy as np
import pytest
import tiny
from flax.traverse_util import flatten_dict
from modules import shapes
from safetensors.numpy import save_file

from mbnet_jax.backbones.pretrained import load_pretrained, torch_name
from mbnet_jax.backbones.resnet import ResNet
from mbnet_jax.data import load_dataset
from mbnet_jax.devices.mesh import make_mesh, replicated
from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints
from mbnet_jax.runs.run_folder import save_config
from mbnet_jax.training.loop import train
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.step import init_state, make_model


def write_weights(path, depth, seed):
    """Writes random weights under PyTorch's names. Returns them as our variables."""
    x = np.zeros((1, 64, 32, 3), np.float32)
    _, variables = shapes(ResNet(depth), x, train=False)
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


def standard(config, branches):
    """The config with stems and widths of the standard network, and little else."""
    config.model.update(
        branches=branches,
        width=64,
        mask_width=64,
        stem="imagenet",
        mask_stem="imagenet",
        ktm=False,
        fam=False,
        cfm=False,
        balance=False,
    )
    return config


def abstract_variables(config):
    model = make_model(config.model, 4)
    optimizer = make_optimizer(config.train, 1)
    return jax.eval_shape(lambda: init_state(config, model, optimizer)).variables


def test_a_new_run_starts_with_the_weights_and_goes_on_with_its_own(
    files, tmp_path, capsys
):
    (path, _), (weights, _) = files
    config = standard(tiny.tiny_config(tmp_path / "data"), ("global",))
    config.model.pretrained = path
    config.train.epochs = 0  # the state that training would begin with
    dataset = load_dataset(config)
    mesh = make_mesh(jax.devices()[:2])
    run = tmp_path / "run"
    state = train(config, dataset, run, mesh)
    for kind, tree in state.variables.items():
        ours = tree["global_backbone"]
        jax.tree.map(np.testing.assert_array_equal, ours, weights[kind])
    assert jax.tree.leaves(state.params)[0].sharding == replicated(mesh)
    line = f"global_backbone starts with the weights of {path}\n"
    assert line in capsys.readouterr().out
    assert (run / "parameters.txt").read_text().endswith(line)

    state = state.replace(params=jax.tree.map(lambda p: p + 1, state.params))
    with Checkpoints(run) as checkpoints:
        checkpoints.save(state, NO_BEST | {"evaluated": 0})
    save_config(config, dataset, run)
    # A file that is no longer there does not matter to a run that goes on.
    config.model.pretrained = "gone.npz"
    resumed = train(config, dataset, run, mesh)
    jax.tree.map(np.testing.assert_array_equal, resumed, state)
    assert f"model.pretrained: {path} -> gone.npz (no effect" in capsys.readouterr().out


def test_each_branch_takes_the_weights_of_its_kind(files):
    (colour, mask), weights = files
    branches = ("clothing_unrelated", "global", "mask")
    config = standard(tiny.tiny_config("data"), branches)
    variables = abstract_variables(config)

    def last(loaded, branch):
        tree = loaded.variables["params"][f"{branch}_backbone"]
        return tree["layer4_0"]["conv2"]["kernel"]

    config.model.pretrained, config.model.mask_pretrained = colour, mask
    loaded = load_pretrained(config.model, variables)
    for branch, which in (("global", 0), ("clothing_unrelated", 0), ("mask", 1)):
        np.testing.assert_array_equal(
            last(loaded, branch),
            weights[which]["params"]["layer4_0"]["conv2"]["kernel"],
        )
    assert loaded.variables["batch_stats"].keys() == loaded.sources.keys()
    config.model.pretrained = ""
    assert list(load_pretrained(config.model, variables).sources) == ["mask_backbone"]
    config.model.mask_pretrained = ""
    assert not load_pretrained(config.model, variables).sources


def test_a_branch_that_is_off_loads_nothing(files):
    config = standard(tiny.tiny_config("data"), ("mask",))
    config.model.pretrained = "gone.npz"
    assert not load_pretrained(config.model, abstract_variables(config)).sources


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (
            {"pretrained": "gone.npz"},
            FileNotFoundError,
            r"model\.pretrained='gone\.npz': there is no file gone\.npz",
        ),
        (
            {"mask_pretrained": "timm/x", "mask_stem": "small", "mask_width": 16},
            ValueError,
            r"model\.mask_pretrained='timm/x': .* set model\.mask_width=64 and "
            r"model\.mask_stem='imagenet', instead of 16 and 'small'",
        ),
        (
            {"pretrained": "timm/x", "width": 32},
            ValueError,
            r"model\.pretrained='timm/x': .* set model\.width=64 and "
            r"model\.stem='imagenet', instead of 32 and 'imagenet'",
        ),
    ],
)
def test_a_refusal_names_the_field_and_the_remedy(fields, error, message):
    config = standard(tiny.tiny_config("data"), ("global", "mask"))
    variables = abstract_variables(config)
    config.model.update(fields)
    with pytest.raises(error, match=message):
        load_pretrained(config.model, variables)


def test_weights_of_another_depth_name_the_field(files):
    (colour, _), _ = files
    config = standard(tiny.tiny_config("data"), ("global", "mask"))
    config.model.update(mask_backbone="resnet18", mask_pretrained=colour)
    message = r"mask_pretrained=.*: they are of resnet10, it is resnet18\n  40 missing"
    with pytest.raises(ValueError, match=message):
        load_pretrained(config.model, abstract_variables(config))
