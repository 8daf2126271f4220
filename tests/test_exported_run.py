"""Exports are tested as runs are, and their results are in a folder of their own."""

import json

import jax
import numpy as np
import pytest
import small_run
from export_run import CLASSES, save_run
from flax.traverse_util import flatten_dict

import mbnet_jax
from mbnet_jax.commands import across, compare
from mbnet_jax.commands import eval as command
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.exported_run import ExportedRun, default_out, open_run
from mbnet_jax.runs import exported
from mbnet_jax.runs.calibration_file import (
    fitting,
    read_calibrations,
    write_calibrations,
)
from mbnet_jax.runs.load import SHIPPED, load
from mbnet_jax.runs.network import without_classifiers
from mbnet_jax.runs.results_folder import ResultsFolder
from mbnet_jax.runs.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_block")


@pytest.fixture(scope="module")
def export(tested, tmp_path_factory):
    """The weights of an evaluated run, as `mbnet-export` writes them."""
    _, workdir = tested
    folder = tmp_path_factory.mktemp("exported") / "mine"
    folder.mkdir()
    network = RunFolder(workdir).load(small_run.one_device())
    exported.write_weights(network.variables, folder)
    exported.write_config(network, folder, branches=(), files=[exported.WEIGHTS])
    return folder


def quick(config):
    """The config without pictures."""
    config = config.copy_and_resolve_references()
    config.eval.update(report=False, figure_queries=0)
    return config


def test_an_export_has_the_results_of_its_run(tested, export, tmp_path, capsys):
    config, workdir = tested
    before = sorted(path.name for path in export.iterdir())
    out = tmp_path / "out"
    run = mbnet_jax.ExportedRun(export, out, small_run.one_device())
    results = run.evaluate(quick(config))
    stored = RunFolder(workdir).metrics()
    assert results == stored["results"]
    assert ResultsFolder(out).metrics()["step"] == stored["step"] == run.step_of("best")
    printed = " ".join(capsys.readouterr().out.split())  # paths wrap lines
    assert f"{config.name}, step 0, test split" in printed
    assert f"step 0 of the export {export}" in printed
    assert "config differs from the saved run's: data." not in printed
    assert sorted(path.name for path in export.iterdir()) == before


def test_another_world_is_tested_and_compared_with_the_run(
    tested, export, tmp_path, monkeypatch, capsys
):
    config, workdir = tested
    monkeypatch.chdir(tmp_path)
    (tmp_path / "world.py").write_text(
        "from tiny import tiny_config\n\ndef get_config():\n"
        f"    c = tiny_config({str(tmp_path / 'data')!r})\n"
        "    c.name = 'world'\n    c.data.synthetic.seed = 7\n"
        "    c.eval.figure_queries = 1\n    return c\n"
    )
    monkeypatch.setattr("mbnet_jax.commands.flags.prepare", lambda: None)
    title = f"trained on {config.name}, tested on world, step 0"
    command.main(["--config", "world.py", "--model", str(export)])
    assert f"\n{title}, test split, per cent\n" in capsys.readouterr().out
    own = default_out(export)
    assert own.name == "mine-export" and (own / "eval/world/queries.csv").is_file()
    assert (own / "eval/world/ranked_lists.png").is_file()

    # The table does not repeat that, and has the run's own results beside it.
    with pytest.raises(SystemExit, match="0"):
        across.main(["--runs", str(export), str(workdir), "--configs", "world.py"])
    printed = capsys.readouterr().out
    assert f"{export} on world: tested before, at step 0" in printed
    cells = json.loads((tmp_path / "across" / "matrix.json").read_text())["cells"]
    ours, theirs = ({k: c[k] for k in ("rank1", "mAP", "step")} for c in cells)
    assert ours == theirs

    compare.main([str(own), str(workdir), "--on", "world", "--resamples", "10"])
    assert "+0.0" in capsys.readouterr().out


def test_results_of_other_weights_are_not_taken_for_an_exports(export, tmp_path):
    run = ExportedRun(export, tmp_path / "out", small_run.one_device())
    content = json.loads((export / "config.json").read_text())
    assert run.entries == {"weights": content["files"][exported.WEIGHTS]}
    assert run.step_of(1) is None


def test_calibrations_of_an_exports_tests_come_before_its_own(tmp_path):
    """A test with predicted maps has one that the export may lack."""
    run = ExportedRun(SHIPPED, tmp_path, small_run.one_device())
    step = exported.read_exported(SHIPPED)["step"]
    own = read_calibrations(SHIPPED, step)
    assert own and run.calibrations(step) == own
    newer = own[0]._replace(slope=own[0].slope + 1)
    another = newer._replace(flip=not newer.flip)
    write_calibrations(tmp_path, step, [newer, another])
    found = run.calibrations(step)
    assert found == [newer, another, *own]
    assert fitting(found, newer.branches, newer.flip, newer.maps) == newer


def test_what_cannot_be_is_refused(tested, export, tmp_path):
    _, workdir = tested
    with pytest.raises(ValueError, match="is a run or an export: the results of"):
        ExportedRun(export, workdir)
    with pytest.raises(ValueError, match="is a run or an export: the results of"):
        ExportedRun(export, export)
    with pytest.raises(ValueError, match="is a run, whose results are in its own"):
        open_run(workdir, tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder: runs/none"):
        open_run("runs/none")
    assert type(open_run(workdir)) is mbnet_jax.Run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "a", "--workdir", "b"], "--model and --workdir both name a net"),
        (["--out", "b"], "--out is for the results of an export; give its --model"),
        (["--model", "runs/none"], "no such folder: runs/none"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(arguments, message):
    with pytest.raises(SystemExit) as end:
        command.main(["--config", "synthetic", *arguments])
    assert message in str(end.value.code)


def test_an_exported_network_has_no_classifier_and_embeds_alike(tmp_path):
    mesh = small_run.one_device()
    whole = load(save_run(tmp_path), mesh)
    folder = tmp_path / "export"
    folder.mkdir()
    stripped = without_classifiers(whole)
    gone = {*flatten_dict(whole.variables)} - {*flatten_dict(stripped.variables)}
    assert {path[1] for path in gone} == {
        *("global_head", "clothing_unrelated_head", "mask_head"),
        "clothes_classifier",
    }
    exported.write_weights(stripped.variables, folder)
    exported.write_config(stripped, folder, branches=())
    network = load(folder, mesh)
    assert network.model == stripped.model and network.identities == CLASSES
    assert without_classifiers(network).identities == CLASSES
    jax.tree.map(np.testing.assert_array_equal, network.variables, stripped.variables)
    size = (2, whole.config.data.height, whole.config.data.width)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    rows = [
        make_embed(of.config, of.model, mesh)(of.variables, image, image[..., 0] % 8)
        for of in (whole, network)
    ]
    for name, expected in rows[0].items():
        np.testing.assert_allclose(rows[1][name], expected, atol=1e-6)
