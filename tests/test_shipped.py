"""The network that comes with the package."""

import fnmatch
import re
import tomllib
import warnings

import cv2
import jax
import numpy as np
import pytest
import safetensors.numpy
from doc_blocks import ROOT

from mbnet_jax import Embedder
from mbnet_jax.commands.search import main as search
from mbnet_jax.retrieval import Labels, chance_level, retrieval_metrics
from mbnet_jax.runs import exported
from mbnet_jax.runs.load import SHIPPED
from mbnet_jax.synthetic.options import SyntheticOptions
from mbnet_jax.synthetic.render import render

pytestmark = pytest.mark.usefixtures("one_block")

SYNTHETIC_ONLY = "trained on synthetic people only"


@pytest.fixture(scope="module")
def embedder():
    """The shipped network, on all devices."""
    with pytest.warns(UserWarning, match=SYNTHETIC_ONLY) as warned:
        loaded = Embedder.load()
    assert len(warned) == 1 and warned[0].filename == __file__
    return loaded


@pytest.fixture(scope="module")
def people(embedder):
    """Images, parsing maps and labels of 8 people of its dataset's test split.

    Each at 2 cameras in 2 outfits; of each two images, the first is a query.
    """
    options = SyntheticOptions(**embedder.config.data.synthetic)
    first = options.train_identities + 1
    shots = [
        (pid, camera, outfit, number)
        for number in (1, 2)
        for pid in range(first, first + 8)
        for camera in options.cameras_of(pid)[:2]
        for outfit in (1, 2)
    ]
    rendered = [render(options, pid, o, camera, n) for pid, camera, o, n in shots]
    labels = Labels(*np.array([shot[:3] for shot in shots]).T)
    images, maps, _ = zip(*rendered, strict=True)
    return list(images), list(maps), labels


def mean_ap_over_chance(rows, labels, rule):
    """The mean AP, divided by that of a random ranking."""
    queries = len(rows) // 2
    query = Labels(*(of[:queries] for of in labels))
    gallery = Labels(*(of[queries:] for of in labels))
    found = retrieval_metrics(rows[:queries], query, rows[queries:], gallery, rule=rule)
    return found.mAP / chance_level(query, gallery, rule, (1,))["mAP"]


def test_the_files_are_small_and_in_the_package():
    files = sorted(path.name for path in SHIPPED.iterdir())
    weights = ["config.json", "model.safetensors"]
    assert files == ["README.md", "calibration.json", *weights]
    assert (SHIPPED / exported.WEIGHTS).stat().st_size <= 8e6
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["mbnet_jax"]
    for path in SHIPPED.iterdir():
        name = path.relative_to(ROOT / "mbnet_jax").as_posix()
        assert any(  # a setuptools pattern's * stays in its folder
            fnmatch.fnmatch(name, p) and name.count("/") == p.count("/")
            for p in patterns
        ), name


def test_the_card_says_what_it_was_trained_on_and_its_results():
    text = (SHIPPED / "README.md").read_text()
    assert "Trained on synthetic people only: not for use on real people" in text
    assert "license: apache-2.0" in text
    assert "--no-stablehlo --no-onnx --half --license apache-2.0" in text
    rows = (
        re.search(rf"^{of} +\|(.*)", text, re.MULTILINE) for of in ("all", "chance")
    )
    found, chance = (float(row[1].split()[3]) for row in rows)  # the first mAP
    assert found > 4 * chance > 0
    assert "embed." not in text and "jax.export.des" not in text


def test_every_weight_is_a_finite_float16():
    arrays = safetensors.numpy.load_file(SHIPPED / exported.WEIGHTS)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    for name, array in arrays.items():
        assert np.isfinite(array).all() and (array.any() or "/bias" in name), name


def test_it_is_loaded_as_float32_on_every_device(embedder):
    leaves = jax.tree.leaves(embedder._variables)
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}
    assert {len(leaf.sharding.device_set) for leaf in leaves} == {8}


def test_giving_a_network_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Embedder.load(SHIPPED)


def test_every_branch_distinguishes_people(embedder, people):
    images, maps, labels = people
    embed = embedder._program(embedder.choose(None, with_maps=True))
    embedded = embed(embedder._variables, np.stack(images), np.stack(maps))
    embedded = {name: np.asarray(rows) for name, rows in embedded.items()}
    # A random ranking has 1. The global branch may find clothes alone; the others also
    # find people in other clothes.
    for name, rows in embedded.items():
        rule = "same_clothes" if name == "global" else "clothes_changing"
        assert mean_ap_over_chance(rows, labels, rule) > 2, name
    rows = embedder.embed(images, maps)
    np.testing.assert_allclose(rows, embedded["all"], atol=1e-6)


@pytest.mark.parametrize("given", [True, False])
def test_it_says_how_probably_two_pictures_show_one_person(embedder, people, given):
    images, maps, labels = people
    half = len(images) // 2  # the second image of each shot follows the first ones
    strangers = np.roll(np.arange(half), half // 8)  # of the next person
    assert (labels.pid[:half] != labels.pid[strangers]).all()

    def probability(one, other):
        chosen = [maps[one], maps[other]] if given else None
        found = embedder.compare(images[one], images[other], chosen)
        assert "synthetic_many" in found.calibrated_on
        return found.probability

    rows = range(0, half, 4)
    same = [probability(i, half + i) for i in rows]
    other = [probability(i, half + strangers[i]) for i in rows]
    assert np.mean(same) > max(0.6, np.mean(other) + 0.2)


def predicts(embedder):
    """Whether the network predicts the maps that it is not given."""
    return embedder.predicts(embedder.choose(None, with_maps=True), with_maps=False)


def test_without_maps_it_predicts_them_or_does_without(embedder, people):
    images, maps, labels = people
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        rows = embedder.embed(images, batch_size=8)
    assert mean_ap_over_chance(rows, labels, "same_clothes") > 2
    if predicts(embedder):
        assert not warned and rows.shape == embedder.embed(images, maps).shape
    else:
        (warning,) = warned
        assert "embedding with the global branch alone" in str(warning.message)


def test_search_needs_no_model(embedder, people, tmp_path, capsys):
    images, _, labels = people
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(32, 64, 4):  # of each person one, the query's own the first
        name = f"{labels.pid[index]}_{labels.clothes[index]}.png"
        cv2.imwrite(str(photos / name), images[index][..., ::-1])
    query = tmp_path / "query.png"
    cv2.imwrite(str(query), images[0][..., ::-1])
    out = tmp_path / "page.html"
    arguments = ["--gallery", photos, "--query", query, "--out", out]
    search([str(a) for a in (*arguments, "--cache", tmp_path / "c", "--k", 3)])
    printed = capsys.readouterr()
    assert printed.out.startswith("8 photographs, 8 of them embedded now")
    lines = printed.err.splitlines()
    first, *more = [line for line in lines if line.startswith("warning: ")]
    assert SYNTHETIC_ONLY in first
    if predicts(embedder):
        assert not more
    else:
        assert len(more) == 1 and more[0].startswith("warning: no parsing maps")
    text = out.read_text()
    assert f"Network of mbnet_jax, {SYNTHETIC_ONLY}, step " in text
    # The query's own outfit at the same camera is among the first 3 of 8.
    assert f"{labels.pid[0]}_{labels.clothes[0]}.png" in text
