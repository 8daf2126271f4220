"""Parsing maps that the network predicts: no map is read, and results say so."""

import json

import jax
import numpy as np
import pytest
import small_run
import tiny
from untrained import untrained, whole_network

from mbnet_jax import Embedder
from mbnet_jax.api import Run
from mbnet_jax.data import load, load_dataset, loader, read_records
from mbnet_jax.data.needed_maps import MissingMapsError
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed_function import embed_function, make_embed
from mbnet_jax.export.check import largest_difference, references
from mbnet_jax.export.onnx_file import to_onnx
from mbnet_jax.export.programs import make_programs
from mbnet_jax.export.stablehlo import to_stablehlo
from mbnet_jax.models.modules import ParsingHead
from mbnet_jax.parsing.labels import NUM_LABELS
from mbnet_jax.runs.network import make_model
from mbnet_jax.training.check import check_run

pytestmark = pytest.mark.usefixtures("one_block")

ALL = ("global", "clothing_unrelated", "mask")


def with_parser(root, maps="given"):
    config = whole_network(root)
    with config.unlocked():
        config.model.parser = True
        config.eval.maps = maps
    return config


@pytest.fixture(scope="module")
def mesh():
    return make_mesh(jax.devices()[:1])


@pytest.fixture(scope="module")
def network(mesh):
    return untrained(with_parser("data"), mesh)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2, tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)
    return image, np.stack([tiny.person(8), tiny.person(12)])


@pytest.fixture(scope="module")
def given(network, people):
    """The network's embeddings with given maps."""
    return embedded(network, people, False)


@pytest.fixture(scope="module")
def predicted(network, people):
    """Those with the maps that it predicts."""
    return embedded(network, (people[0], np.zeros_like(people[1])), True)


def embedded(network, people, predicted):
    mesh = jax.tree.leaves(network.variables)[0].sharding.mesh
    embed = make_embed(network.config, network.model, mesh, ALL, predicted=predicted)
    return jax.device_get(embed(network.variables, *people))


def test_a_head_that_is_right_embeds_as_given_maps_do(
    network, people, given, monkeypatch
):
    image, parsing = people
    # Each image is beside its mirror image.
    both = np.stack([parsing, parsing[:, :, ::-1]], 1).reshape(-1, *parsing.shape[1:])
    monkeypatch.setattr(
        ParsingHead,
        "__call__",
        lambda self, features, train: jax.nn.one_hot(both, NUM_LABELS),
    )
    embed = embed_function(network.config, network.model, predicted=True)
    found = jax.jit(lambda variables, image: embed(variables, image, None))(
        network.variables, image
    )
    assert set(found) == {*ALL, "all"}
    for name, rows in found.items():
        np.testing.assert_allclose(rows, given[name], rtol=0, atol=1e-5)


def test_a_network_without_the_head_is_refused(mesh, people):
    config = whole_network("data")
    with config.unlocked():
        config.eval.maps = "predicted"
    with pytest.raises(ValueError, match=r"no head that predicts parsing maps: give"):
        embed_function(config, make_model(config.model, 4))
    with pytest.raises(ValueError, match=r"eval\.maps='predicted' needs a network"):
        check_run(config, mesh, training=True)


def without_maps(*arguments):
    """What is read of a folder without parsing maps."""
    return {
        split: [row._replace(parsing_path=None) for row in rows]
        for split, rows in read_records(*arguments).items()
    }


def test_an_evaluation_reads_no_maps_and_says_so(tmp_path, mesh, monkeypatch):
    config = with_parser(tmp_path / "data")
    dataset = load_dataset(config)
    workdir = tmp_path / "run"
    small_run.save_untrained(config, dataset, workdir)
    with_maps = Run(workdir, mesh, dataset=dataset).evaluate()
    monkeypatch.setattr(load, "read_records", without_maps)
    with pytest.raises(MissingMapsError):
        Run(workdir, mesh).evaluate()

    def no_map(*_):
        raise AssertionError("a map is read")

    monkeypatch.setattr(loader, "decode_parsing", no_map)
    config = with_parser(tmp_path / "data", "predicted")
    results = Run(workdir, mesh).evaluate(config)["general"]
    assert results["global"] == with_maps["general"]["global"]
    assert results["all"] != with_maps["general"]["all"]
    saved = {
        name: json.loads((workdir / "eval" / name / "metrics.json").read_text())
        for name in ("", "predicted-maps")
    }
    assert saved["predicted-maps"]["maps"] == "predicted" and "maps" not in saved[""]
    assert saved["predicted-maps"]["notes"][0].startswith("parsing maps: predicted")
    assert saved["predicted-maps"]["results"]["general"] == results
    assert saved[""]["results"] == with_maps


def test_an_embedder_predicts_the_maps_that_it_is_not_given(
    network, people, given, predicted
):
    image, parsing = people
    mesh = jax.tree.leaves(network.variables)[0].sharding.mesh
    embedder = Embedder(network, mesh)
    found = embedder.embed(image)
    np.testing.assert_allclose(found, predicted["all"], rtol=0, atol=1e-5)
    assert np.abs(found - given["all"]).max() > 1e-3
    np.testing.assert_allclose(
        embedder.embed(image, parsing), given["all"], rtol=0, atol=1e-5
    )
    assert embedder.predicts(ALL, with_maps=False)
    assert not embedder.predicts(("global",), with_maps=False)
    # Rows of one kind of map are not taken for those of the other.
    assert embedder.digest(ALL) != embedder.digest(ALL, with_maps=False)
    alone = [embedder.digest(("global",), with_maps) for with_maps in (True, False)]
    assert alone[0] == alone[1]


@pytest.fixture(scope="module")
def reading_image(mesh):
    """A network that predicts maps by `ImageParser`."""
    config = with_parser("data")
    with config.unlocked():
        config.model.parser_image = True
    return untrained(config, mesh)


@pytest.mark.parametrize("predictor", ["network", "reading_image"])
@pytest.mark.parametrize("ending", [".stablehlo", ".onnx"])
def test_an_exported_program_needs_no_maps(predictor, ending, tmp_path, request):
    network = request.getfixturevalue(predictor)
    programs = make_programs(network, ALL)
    assert [(p.name, p.title, [*p.inputs]) for p in programs] == [
        ("embed", "all", ["image", "parsing"]),
        ("embed_without_maps", "all without maps", ["image"]),
        ("embed_global", "global", ["image"]),
    ]
    program = programs[1]
    path = tmp_path / f"{program.name}{ending}"
    if ending == ".onnx":
        pytest.importorskip("jax2onnx")
        path.write_bytes(to_onnx(program))
    else:
        path.write_bytes(to_stablehlo(program, ("cpu",)))
    expected = references(network, programs[:2], 2)
    assert np.abs(expected["embed"] - expected[program.name]).max() > 1e-3
    largest_difference(program, path, expected[program.name], "float32")
