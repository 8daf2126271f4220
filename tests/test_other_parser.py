"""An export with another network's image parser: `mbnet-export --image-parser`."""

import jax
import numpy as np
import pytest
from untrained import untrained, whole_network

from mbnet_jax.commands.export import main as export
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.export.other_parser import with_parser_of
from mbnet_jax.runs.exported import write_config, write_weights
from mbnet_jax.runs.load import load
from mbnet_jax.runs.network import without_classifiers

pytestmark = pytest.mark.usefixtures("one_block")
MESH = make_mesh(jax.devices()[:1])


def network(seed, **model):
    config = whole_network("data")
    with config.unlocked():
        config.model.update(parser=True, **model)
    return without_classifiers(untrained(config, MESH, seed))


def image_network(seed, size):
    return network(seed, parser_image=True, parser_size=size)


def predicted(network, images):
    """What the image parser predicts: logits and edges."""
    part = network.model.clone(branches=("global",))
    found = part.apply(network.variables, {"image": images}, train=False)
    return found.parsing_logits, found.part_edges


@pytest.mark.parametrize(("size", "other_size"), [("small", "large"), ("large",) * 2])
def test_the_maps_are_the_others_and_all_else_is_kept(tmp_path, size, other_size):
    ours, theirs = image_network(0, size), image_network(1, other_size)
    for name, each in (("ours", ours), ("theirs", theirs)):
        (tmp_path / name).mkdir()
        write_weights(each.variables, tmp_path / name, False)
        write_config(each, tmp_path / name, branches=())
    out = tmp_path / "out"
    given = ["--model", tmp_path / "ours", "--image-parser", tmp_path / "theirs"]
    export([*map(str, given), "--out", str(out), "--no-stablehlo", "--no-onnx"])
    found = load(str(out), MESH)
    assert found.step == ours.step
    assert found.config.model.parser_size == other_size
    for kind, modules in found.variables.items():
        assert modules.keys() == ours.variables[kind].keys()
        for name, arrays in modules.items():
            source = theirs if name == "image_parser" else ours
            wanted = source.variables[kind][name]
            jax.tree.map(np.testing.assert_array_equal, arrays, wanted)
    images = np.random.default_rng(0).normal(size=(2, 64, 32, 3)).astype(np.float32)
    wanted = predicted(theirs, images)
    jax.tree.map(np.testing.assert_array_equal, predicted(found, images), wanted)
    assert not np.allclose(wanted[0], predicted(ours, images)[0])


def test_a_network_without_an_image_parser_is_refused():
    plain, ours = network(0), image_network(0, "small")
    with pytest.raises(ValueError, match=r"^--image-parser=x predicts no parsing maps"):
        with_parser_of(ours, plain, "x")
    with pytest.raises(ValueError, match=r"^--model predicts no parsing maps"):
        with_parser_of(plain, ours, "x")
