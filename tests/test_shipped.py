"""The network that comes with the package, and weights in half precision."""

import fnmatch
import json
import re
import shutil
import tomllib
import warnings

import cv2
import jax
import numpy as np
import pytest
import safetensors.numpy
from doc_blocks import ROOT
from export_run import save_run

from mbnet_jax import Embedder
from mbnet_jax.commands import export as export_command
from mbnet_jax.commands.search import main as search
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.export import check
from mbnet_jax.export.programs import make_programs
from mbnet_jax.retrieval import Labels, chance_level, retrieval_metrics
from mbnet_jax.runs import exported
from mbnet_jax.runs.calibration_file import Calibration, write_calibrations
from mbnet_jax.runs.load import SHIPPED, load
from mbnet_jax.runs.network import without_classifiers
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.synthetic.options import SyntheticOptions
from mbnet_jax.synthetic.render import render

pytestmark = pytest.mark.usefixtures("one_block")

SYNTHETIC_ONLY = "trained on synthetic people only"
# Most that an entry of an embedding, whose length is 1, may change by the rounding,
# which changes a weight by 1/2048 of itself at most. 2.2e-4 was seen.
ROUNDING = 1e-3


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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def one_device():
    return make_mesh(jax.devices()[:1])


def test_half_precision_rounds_all_files(
    run, one_device, tmp_path, capsys, compiled_in_a_hurry
):
    out = tmp_path / "half"
    flags = ["--half", "--no-onnx", "--platforms=cpu", "--branches=global"]
    export_command.main(["--model", str(run), "--out", str(out), *flags])
    assert "embed.stablehlo  differs from the network by" in capsys.readouterr().out
    assert "rounded to float16 and stored so" in (out / "README.md").read_text()

    whole = without_classifiers(load(run, one_device))
    half = load(out, one_device)
    for before, after in zip(
        *map(jax.tree.leaves, (whole.variables, half.variables)), strict=True
    ):
        assert after.dtype == np.float32
        expected = np.asarray(before).astype(np.float16)
        np.testing.assert_array_equal(after, expected)

    assert half.config.eval.branches == ("global",)
    (program,) = make_programs(half, half.config.eval.branches)
    images = check.examples(program, 3)["image"]
    rounded = Embedder(half, one_device)
    rows = rounded.embed(images, branches=["global"])
    original = Embedder(whole, one_device)
    change = np.abs(rows - original.embed(images, branches=["global"])).max()
    # The program holds the rounded network, not the original.
    error = check.largest_difference(program, out / "embed.stablehlo", rows, "float32")
    assert 10 * error < change < ROUNDING
    assert rounded.digest(("global",)) != original.digest(("global",))


def test_weights_alone(run, tmp_path):
    out = tmp_path / "weights"
    flags = ["--no-stablehlo", "--no-onnx", "--half"]
    export_command.main(["--model", str(run), "--out", str(out), *flags])
    names = {"README.md", "config.json", "model.safetensors"}
    assert {path.name for path in out.iterdir()} == names
    assert json.loads((out / "config.json").read_text())["programs"] == {}
    with pytest.raises(SystemExit, match="error: --platforms is empty"):
        export_command.main(["--model", str(run), "--out", str(out), "--platforms="])


def test_calibrations_go_with_the_weights(run, tmp_path, one_device):
    step = RunFolder(run).step_of("best")
    one = Calibration(
        *("people", 5, 40, "general", ("global",), True, "none", 100, 900),
        *(8.0, -4.0, 1e-2, 0.75),
    )
    write_calibrations(tmp_path, step, [one])
    flags = ["--no-stablehlo", "--no-onnx", "--model", str(run)]
    given = ["--results", str(tmp_path)]
    first, second = (str(tmp_path / name) for name in ("first", "second"))
    export_command.main([*flags, *given, "--out", first])
    # And from an export to the next.
    export_command.main([*flags[:2], "--model", first, "--out", second])
    assert Embedder.load(second, mesh=one_device).calibrations == [one]
    card = (tmp_path / "second" / "README.md").read_text()
    assert "sigmoid(8.000 cosine -4.000) | 0.7500 |" in card
    write_calibrations(tmp_path, step + 1, [one])
    with pytest.raises(
        SystemExit, match=f"no evaluation of the checkpoint of step {step}"
    ):
        export_command.main([*flags, *given, "--out", str(tmp_path / "third")])


@pytest.mark.parametrize("value", [65520, -1e9, np.inf, np.nan])
def test_values_beyond_half_precision_are_refused(value, tmp_path):
    variables = {"params": {"a": np.ones(2, np.float32)}, "batch_stats": {}}
    variables["batch_stats"]["bn"] = {"var": np.float32([1, 65504])}  # the most
    exported.write_weights(variables, tmp_path, half=True)
    (tmp_path / exported.WEIGHTS).unlink()

    variables["batch_stats"]["bn"]["var"][0] = value
    named = "half precision cannot hold batch_stats/bn/var: .* beyond 65504"
    with pytest.raises(ValueError, match=named):
        exported.rounded(variables)
    with pytest.raises(ValueError, match=named):
        exported.write_weights(variables, tmp_path, half=True)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"dtype": "float32"},
            r"of another shape or type: .* float16\[\d+\], not float32\[\d+\]",
        ),
        ({"version": 2}, "by an earlier version of mbnet_jax and has to be exported"),
        ({"version": 4}, "version 4 of the format, this program reads version 3"),
    ],
)
def test_the_version_and_the_dtype_of_the_weights_are_checked(
    change, message, one_device, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(SHIPPED, folder)
    content = json.loads((folder / "config.json").read_text())
    assert (content["version"], content["dtype"]) == (3, "float16")
    (folder / "config.json").write_text(json.dumps(content | change))
    with pytest.raises(ValueError, match=message):
        load(folder, one_device)
