"""Tests on a dataset that a run was not trained on, and where their results go."""

import contextlib
import io
import json
import shutil

import pytest
import small_run
import tiny

from mbnet_jax.api import Run
from mbnet_jax.runs.run_folder import RunFolder

OWN = ("metrics.json", "queries.csv", "ranked_lists.png", "report.html")


def world(root, name="other", **people):
    """The config of another synthetic world, with another network."""
    config = tiny.tiny_config(root)
    config.name = name
    config.data.synthetic.update({"seed": 7, "test_identities": 3} | people)
    config.model.branches = ("mask",)
    config.views.silhouette = (32, 32)
    config.data.height = 96
    return config.copy_and_resolve_references()


@pytest.fixture(scope="module")
def trained(tested, tmp_path_factory, one_block):
    """A copy of an evaluated run of all branches; its folder and its own results."""
    _, source = tested
    workdir = tmp_path_factory.mktemp("across") / "run"
    shutil.copytree(source, workdir)
    return workdir, {name: (workdir / "eval" / name).read_bytes() for name in OWN}


def evaluate(workdir, config):
    """Returns the results, and what is printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run = Run(workdir, small_run.one_device())
        results = run.evaluate(config)
    return results, printed.getvalue()


def test_another_dataset_is_tested_with_the_runs_network(trained, tmp_path):
    workdir, own = trained
    config = world(tmp_path)
    config.eval.report = True
    results, printed = evaluate(workdir, config)
    print(printed)
    assert {n: (workdir / "eval" / n).read_bytes() for n in OWN} == own
    folder = RunFolder(workdir).eval_of("other")
    assert folder == workdir / "eval" / "other"
    assert {*OWN} <= {path.name for path in folder.iterdir()}
    content = json.loads((folder / "metrics.json").read_text())
    assert content["results"] == results
    assert content["dataset"] == "other"
