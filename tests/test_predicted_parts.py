"""What each part of predicted parsing maps costs: the views are mixed as said."""

import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import small_run
import tiny
from in_process import called
from untrained import untrained, whole_network

from benchmarks import predicted_parts
from benchmarks.predicted_parts import HEAD, LEGS, MIXES, PARTS, SILHOUETTE
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed_function import ALL, embed_function

pytestmark = pytest.mark.usefixtures("one_block")

VIEWS = {"crops": np.arange(4.0).reshape(1, 4, 1, 1), SILHOUETTE: np.ones((1, 2, 2, 1))}
OTHERS = {name: -1 - view for name, view in VIEWS.items()}


@pytest.mark.parametrize(
    ("parts", "crops", "silhouette"),
    [
        ((), [0, 1, 2, 3], 1),
        ((HEAD,), [-1, -2, 2, 3], 1),
        ((LEGS,), [0, 1, -3, -4], 1),
        ((SILHOUETTE,), [0, 1, 2, 3], -2),
        (PARTS, [-1, -2, -3, -4], -2),
    ],
)
def test_the_named_parts_are_from_predicted_maps(parts, crops, silhouette):
    found = predicted_parts.mixed(VIEWS, OTHERS, parts)
    np.testing.assert_array_equal(found["crops"].ravel(), crops)
    assert (found[SILHOUETTE] == silhouette).all()
    without = predicted_parts.mixed({"crops": VIEWS["crops"]}, OTHERS, parts)
    assert set(without) == {"crops"}


def test_the_overlap_of_boxes():
    box = np.array([2.0, 1.0, 6.0, 3.0])
    for down, right, expected in (
        (0, 0, 1),
        (2, 0, 4 / 12),
        (1, 1, 3 / 13),
        (4, 0, 0),
        (9, 9, 0),
    ):
        other = box + np.array([down, right, down, right])
        assert predicted_parts.overlap_of_boxes(box, other) == pytest.approx(expected)


@pytest.fixture(scope="module")
def network():
    config = whole_network("data")
    config.model.parser = True
    return untrained(config, make_mesh(jax.devices()[:1]))


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2, tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)
    return image, np.stack([tiny.person(8), tiny.person(12)])


def test_none_and_all_of_the_parts_are_the_tests_with_given_and_predicted_maps(
    network, people
):
    embed = jax.jit(predicted_parts.mixed_function(network))
    found = embed(network.variables, *people)
    assert set(found) == set(MIXES)
    for title, predicted in (("given", False), ("predicted", True)):
        usual = embed_function(network.config, network.model, predicted=predicted)
        expected = jax.jit(usual)(network.variables, *people)[ALL]
        np.testing.assert_allclose(found[title], expected, rtol=0, atol=1e-5)
    assert np.abs(found["given"] - found["predicted"]).max() > 1e-3


def test_a_head_that_is_right_overlaps_wholly(network, people, monkeypatch):
    image, parsing = people
    monkeypatch.setattr(
        predicted_parts, "parsing_function", lambda *_: lambda *_: parsing
    )
    overlap = predicted_parts.overlap_function(network)
    np.testing.assert_allclose(overlap(network.variables, image, parsing), 1)
    first = overlap(network.variables, image, parsing[[1, 1]])
    assert (first[0] < 1).any() and (first[1] == 1).all()


def test_the_tables_of_a_run(small_data, tmp_path, monkeypatch, compiled_in_a_hurry):
    root, dataset = small_data
    config = tiny.tiny_config(root)
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    config.model.parser = True
    small_run.save_untrained(config, dataset, tmp_path)
    monkeypatch.setattr(predicted_parts, "load_config", lambda *_: config)
    text = predicted_parts.measured(str(tmp_path), "any")
    rows = dict(re.findall(r"^\| ([a-z ]+) \| (.+) \|$", text, re.MULTILINE))
    assert set(rows) == {"maps", "part", *MIXES, *PARTS}
    assert rows["given"].count("(100 %)") == 3


def test_several_queries_or_galleries_are_refused(monkeypatch, network):
    config = tiny.tiny_config("data")
    monkeypatch.setattr(predicted_parts, "load_config", lambda *_: config)
    monkeypatch.setattr(predicted_parts, "load", lambda *_: network)
    splits = SimpleNamespace(test=dict.fromkeys(("gallery", "query_a", "query_b")))
    monkeypatch.setattr(predicted_parts, "load_dataset", lambda *_, **__: splits)
    with pytest.raises(ValueError, match="test splits gallery, query_a, query_b; this"):
        predicted_parts.measured("any", "any")


def test_bad_input_ends_in_one_line(tmp_path, monkeypatch):
    arguments = (tmp_path / "none", "--config", "synthetic")
    message = called(monkeypatch, predicted_parts, *arguments)
    assert message.startswith("error: ") and "\n" not in message and "none" in message
    assert called(monkeypatch, predicted_parts, *arguments, "--fields=1") == 2


def test_a_network_without_the_head_is_refused():
    network = untrained(whole_network("data"), make_mesh(jax.devices()[:1]))
    with pytest.raises(ValueError, match="no head that predicts parsing maps"):
        predicted_parts.mixed_function(network)
