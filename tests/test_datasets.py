"""Each dataset's config from raw folder to table, in its own layout."""

import csv
import json
import re

import jax
import layouts
import pytest
import tiny

from configs import ltcc, manifest, prcc, vc_clothes
from mbnet_jax.api import Run
from mbnet_jax.data import load_dataset
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.training.loop import train

pytestmark = pytest.mark.usefixtures("one_block")

CONFIGS = {
    "ltcc": (ltcc, layouts.write_ltcc),
    "prcc": (prcc, layouts.write_prcc),
    "vc_clothes": (vc_clothes, layouts.write_vc_clothes),
    "manifest": (manifest, layouts.write_manifest),
}

PERSONS = {  # of the test, as in the files
    "ltcc": {"007", "011"},
    "prcc": {"003", "094"},
    "vc_clothes": {"0002", "0511"},
    "manifest": {*layouts.MANIFEST_PERSONS["test"]},
}


def small(config, root, maps):
    """The dataset's own config, everything else tiny."""
    reference = tiny.tiny_config(root)
    for section in ("augment", "views", "model", "train", "eval"):
        config[section].update(reference[section])
    config.data.update(height=tiny.HEIGHT, width=tiny.WIDTH, threads=2)
    config.data.update(root=str(root), parsing_dir=str(maps), validation_fraction=0.5)
    # The data is tested, not the network; one size for all, so that it is compiled
    # once for each number of identities.
    config.model.branches = ("global",)
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    config.train.update(epochs=2, steps_per_epoch=1, batch_size=4)
    return config


def run(config, workdir, which="best"):
    dataset = load_dataset(config)
    mesh = make_mesh(jax.devices()[:1])
    train(config, dataset, workdir, mesh)
    return Run(workdir, mesh, dataset=dataset).evaluate(config, which=which)


@pytest.mark.parametrize("name", CONFIGS)
def test_from_raw_folder_to_table(name, tmp_path, capsys):
    module, write = CONFIGS[name]
    root = write(tmp_path / "data")
    config = small(
        module.get_config(), root, layouts.write_parsing(root, tmp_path / "maps")
    )
    # The one with drawn galleries, and two sets of queries.
    config.eval.rerank = config.eval.report = name == "prcc"
    rows = ["global", "global_reranked"] if config.eval.rerank else ["global"]
    results = run(config, tmp_path / "run")
    printed = capsys.readouterr().out
    assert (
        list(results)
        == {
            "ltcc": ["general", "same_clothes", "clothes_changing"],
            "manifest": ["general", "same_clothes", "clothes_changing"],
            "vc_clothes": ["general", "same_clothes", "clothes_changing"],
            "prcc": [
                "same_clothes_multi_shot",
                "same_clothes_single_shot",
                "clothes_changing_multi_shot",
                "clothes_changing_single_shot",
            ],
        }[name]
    )
    for protocol, values in results.items():
        assert protocol.replace("_", "-") in printed
        assert list(values) == [*rows, "chance"]
        for row in rows:
            assert 0 < values[row]["mAP"] <= 1
            assert ("mAP_std" in values[row]) == ("single" in protocol)
    assert ("  re-ranked " in printed) == config.eval.rerank
    paper = {"ltcc": "44.6", "prcc": "58.3", "vc_clothes": "87.2"}.get(name)
    assert ("MBNet, the paper's" in printed) == (paper is not None)
    assert paper is None or paper in printed

    stored = json.loads((tmp_path / "run" / "eval" / "metrics.json").read_text())
    assert stored["results"] == results
    with (tmp_path / "run" / "eval" / "queries.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    last = stored["protocols"][list(results)[-1]]
    of_last = [r for r in rows if r["protocol"] == list(results)[-1]]
    assert len(of_last) == last["queries"] * (last["draws"] or 1)
    mean = sum(float(r["average_precision"]) for r in of_last) / len(of_last)
    assert last["queries"] == last["queries_with_a_match"]
    assert mean == pytest.approx(results[list(results)[-1]]["global"]["mAP"], abs=1e-6)
    assert all((root / row["file"]).is_file() for row in rows)
    assert {row["person"] for row in rows} == PERSONS[name]
    if config.eval.report:
        page = (tmp_path / "run" / "eval" / "report.html").read_text()
        cards = page.split('<article class="card"')[1:]
        shown = [set(re.findall('data-rule="(.*?)"', card)) for card in cards]
        multi, single = (
            {p for p in results if kind in p} for kind in ("multi", "single")
        )
        assert set.union(*shown) == multi | single
        assert all(len(of & multi) == len(of & single) == 1 for of in shown)
        for label in ("person <bdi>003<", "camera <bdi>C<", "clothes <bdi>AB<"):
            assert label in page
        # Only the branch that is on has attention maps.
        assert page.count("KTM&#39;s gate: ") >= len(cards)
        assert "CFM: " not in page and "<meter" not in page


def test_without_validation_all_are_trained_on_and_the_last_is_best(tmp_path, capsys):
    root = layouts.write_manifest(tmp_path / "data", "path,pid,split")
    config = manifest.get_config()
    config = small(config, root, layouts.write_parsing(root, tmp_path / "maps"))
    config.data.validation = "none"
    assert len(load_dataset(config).train) == 32
    results = run(config, tmp_path / "run")
    printed = capsys.readouterr().out
    assert "manifest, step 2, test split" in printed
    assert "general is left out: no camera labels" in printed
    assert list(results) == ["any"]
    assert [p.name for p in (tmp_path / "run" / "best").iterdir()] == ["2"]
    again = Run(tmp_path / "run", make_mesh(jax.devices()[:1])).evaluate(which=2)
    assert again == results
