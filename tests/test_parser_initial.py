"""New runs that start with another network's image parser (`model.parser_initial`)."""

import jax
import numpy as np
import pytest
from untrained import untrained, whole_network

from mbnet_jax.backbones.weights.pretrained import Loaded
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.models.check import network_problems
from mbnet_jax.runs.exported import write_config, write_weights
from mbnet_jax.runs.network import abstract_variables, make_model
from mbnet_jax.training.initial import load_initial, load_parser

pytestmark = pytest.mark.usefixtures("one_block")
MESH = make_mesh(jax.devices()[:1])
NONE = Loaded({"params": {}, "batch_stats": {}}, {})


def exported(folder, seed=0, **model):
    """The config and the variables of an untrained network, written to `folder`."""
    config = whole_network("data")
    with config.unlocked():
        config.model.update(parser=True, **model)
    network = untrained(config, MESH, seed)
    folder.mkdir()
    write_weights(network.variables, folder, half=False)
    write_config(network, folder, branches=(), half=False)
    return config, jax.device_get(network.variables)


def shapes_of(config):
    return abstract_variables(config, make_model(config.model, 99))


def test_the_image_parser_is_one_networks_and_all_else_another_ones(tmp_path):
    """Even if the other one has an image parser too, of another size."""
    config, large = exported(tmp_path / "a", parser_image=True, parser_size="large")
    _, small = exported(tmp_path / "b", 1, parser_image=True)
    with config.unlocked():
        config.model.initial = str(tmp_path / "b")
        config.model.parser_initial = str(tmp_path / "a")
    assert not [*network_problems(config)]
    shapes = shapes_of(config)
    first = load_initial(config, shapes, MESH)
    assert "image_parser" not in first.sources
    found = load_parser(config, shapes, first, MESH)
    assert found.sources["image_parser"] == f"{tmp_path / 'a'}, step 7"
    assert found.sources.items() > first.sources.items()
    for kind, of in found.variables.items():
        parser = of.pop("image_parser")
        jax.tree.map(np.testing.assert_array_equal, parser, large[kind]["image_parser"])
        jax.tree.map(np.testing.assert_array_equal, of, first.variables[kind])
        backbone = of["global_backbone"], small[kind]["global_backbone"]
        jax.tree.map(np.testing.assert_array_equal, *backbone)
    # Without an initial network, nothing else is read.
    alone = load_parser(config, shapes, NONE, MESH)
    assert [*alone.variables["params"]] == [*alone.sources] == ["image_parser"]


@pytest.mark.parametrize(
    ("saved", "given", "message"),
    [
        (
            {"parser_image": True, "parser_size": "large"},
            "a",
            "^model.parser_initial='.*a' has an image parser of "
            "model.parser_size='large', and this run one of 'small'",
        ),
        (
            {},
            "a",
            "^model.parser_initial='.*a' predicts no parsing maps from the image",
        ),
        ({}, "gone", "^model.parser_initial='.*gone': no such folder"),
    ],
)
def test_an_image_parser_that_does_not_fit_is_refused(tmp_path, saved, given, message):
    config, _ = exported(tmp_path / "a", **saved)
    with config.unlocked():
        config.model.update(parser_image=True, parser_size="small")
        config.model.parser_initial = str(tmp_path / given)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_parser(config, shapes_of(config), NONE, MESH)


@pytest.mark.parametrize(
    ("field", "value", "off"), [("size", "large", "small"), ("initial", "x", "")]
)
def test_a_field_of_the_image_parser_that_is_off_is_refused(field, value, off):
    config = whole_network("data")
    with config.unlocked():
        config.model.update({"parser": True, f"parser_{field}": value})
    (problem,) = network_problems(config)
    assert problem.startswith(
        f"model.parser_{field}={value!r} is of model.parser_image"
    )
    assert problem.endswith(f"or model.parser_{field}={off!r}")


def test_people_held_out_whose_images_it_knows_are_warned_of(tmp_path, capsys):
    config, _ = exported(tmp_path / "a", parser_image=True)
    with config.unlocked():
        config.model.parser_initial = str(tmp_path / "a")
    config.data.validation = "held_out"
    load_parser(config, shapes_of(config), NONE, MESH)
    known = "was trained on people who are held out now"
    printed = capsys.readouterr().out
    config.seed += 1
    load_parser(config, shapes_of(config), NONE, MESH)
    assert known not in printed and known in capsys.readouterr().out
