"""One small run on two datasets: resumed, on other devices, tested on each."""

import argparse
import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from joint_config import joint_config
from ml_collections import ConfigDict

import mbnet_jax
from mbnet_jax import api
from mbnet_jax.commands import parse, preview
from mbnet_jax.data import load_dataset, make_maps
from mbnet_jax.data.joint import join
from mbnet_jax.data.loader import Loader
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.report import preview as sheets
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.training.plan import make_plan

pytestmark = pytest.mark.usefixtures("one_block")


def one_device():
    return make_mesh(jax.devices()[:1])


def unlabelled(dataset):
    """The two worlds, the second of which does not label clothes."""
    parts = dict(dataset.parts)
    train = parts["b"].train
    clothes = np.full_like(train.clothes, -1)
    parts["b"] = dataclasses.replace(
        parts["b"], train=dataclasses.replace(train, clothes=clothes)
    )
    joined = join({name: p.train for name, p in parts.items()}, ["canonical"] * 2)
    return dataclasses.replace(dataset, train=joined, parts=parts)


@pytest.fixture(scope="module")
def trained(one_block, tmp_path_factory):
    """Config, dataset and folder of a run with CAL, in shares of one to three."""
    config = joint_config(tmp_path_factory.mktemp("data"), shares=(1.0, 3.0))
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    config.loss.update(cal=1.0, cal_start_epoch=0)
    config.eval.every_epochs = 2
    dataset = unlabelled(load_dataset(config))
    workdir = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "load_dataset", lambda *_, **__: dataset)
        mbnet_jax.train(config, workdir, mesh=one_device())
    return config, dataset, workdir


def lines_of(workdir):
    return [json.loads(t) for t in (workdir / "metrics.jsonl").read_text().splitlines()]


def up_to(step, whole, workdir):
    """Copies a run, as if killed with `step` as its newest checkpoint."""
    shutil.copytree(whole, workdir)
    for folder in [*workdir.glob("checkpoints/*"), *workdir.glob("best/*")]:
        if int(folder.name) > step:
            shutil.rmtree(folder)


def test_the_mean_selects_and_each_dataset_is_logged(trained):
    config, dataset, workdir = trained
    scored = [line for line in lines_of(workdir) if "validation/mAP" in line]
    assert [line["step"] for line in scored] == [4, 8]
    for line in scored:
        for measure in ("mAP", "rank1"):
            each = [line[f"validation/{measure}_{name}"] for name in ("a", "b")]
            assert line[f"validation/{measure}"] == pytest.approx(np.mean(each))
    best = max(scored, key=lambda line: line["validation/mAP"])["step"]
    assert {folder.name for folder in (workdir / "best").iterdir()} == {str(best)}
    steps = [line for line in lines_of(workdir) if "loss" in line]
    assert len(steps) == 8 and np.isfinite([line["cal"] for line in steps]).all()
    # Classes of the first world alone: two outfits of six persons.
    run = RunFolder(workdir)
    assert (run.num_classes, run.num_clothes) == (12, 12)
    batch = next(
        Loader(config.data, one_device()).train(
            dataset.train, make_plan(config, dataset, one_device()).sampler, range(1)
        )
    )
    of_b = np.asarray(batch["pid"]) >= 6
    assert of_b.sum() == 6 and (np.asarray(batch["clothes"])[of_b] == -1).all()
    assert (np.asarray(batch["clothes"])[~of_b] >= 0).all()


@pytest.mark.parametrize("devices", [1, 8])
def test_it_resumes_on_any_number_of_devices(trained, tmp_path, monkeypatch, devices):
    config, dataset, whole = trained
    monkeypatch.setattr(api, "load_dataset", lambda *_, **__: dataset)
    up_to(4, whole, tmp_path / "run")
    mbnet_jax.train(config, tmp_path / "run", mesh=make_mesh(jax.devices()[:devices]))
    expected, found = lines_of(whole), lines_of(tmp_path / "run")
    if devices == 1:
        assert found == expected
        return
    for one, other in zip(expected, found, strict=True):
        assert one["step"] == other["step"] and one.keys() == other.keys()
        for name in {"loss", "clothes", "cal"} & one.keys():
            assert other[name] == pytest.approx(one[name], rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"shares": (1.0, 1.0)}, r"data\.shares: \[1\.0, 3\.0\] -> \[1\.0, 1\.0\]"),
        ({"name": ("b", "a")}, r"data\.name: \['a', 'b'\] -> \['b', 'a'\]"),
        (
            {"parts": {"b": {"synthetic": {"seed": 2}}}},
            r"data\.parts\.b\.synthetic\.seed: 1 -> 2",
        ),
    ],
)
def test_other_datasets_and_shares_are_not_resumed_with(trained, changes, field):
    config, dataset, workdir = trained
    changed = config.copy_and_resolve_references()
    with changed.unlocked(), changed.ignore_type():
        changed.data.parts.b.update(root="/moved", parsing_dir="/maps")
    run = RunFolder(workdir)
    assert len(run.check_resume(changed, dataset)) == 2
    with changed.unlocked(), changed.ignore_type():
        changed.data.update(changes)
    with pytest.raises(ValueError, match=field):
        run.check_resume(changed, dataset)
    other = dataclasses.replace(
        dataset, train=dataclasses.replace(dataset.train, pid=dataset.train.pid[::-1])
    )
    with pytest.raises(ValueError, match=r"the images in .*, or their labels, are not"):
        run.check_resume(config, other)


def test_each_dataset_is_tested_in_its_own_folder(trained, tmp_path, capsys):
    config, _, workdir = trained
    results = api.Run(workdir, one_device()).evaluate(config)
    rules = ("general", "same_clothes", "clothes_changing")
    assert [*results] == [f"{part}/{rule}" for part in ("a", "b") for rule in rules]
    files = {path.name for path in (workdir / "eval").iterdir()}
    assert {"a", "b"} <= files and not {"metrics.json", "queries.csv"} & files
    for part in ("a", "b"):
        saved = json.loads((workdir / "eval" / part / "metrics.json").read_text())
        for rule in rules:
            found = saved["results"][rule]["global"]["mAP"]
            assert found == results[f"{part}/{rule}"]["global"]["mAP"]
        query = (workdir / "eval" / part / "queries.csv").read_text().splitlines()[1]
        assert query.startswith("general,0,query/")
    assert capsys.readouterr().out.count("tested on") == 2


def test_queries_of_a_report_are_named_with_their_dataset(trained, tmp_path):
    config = trained[0].copy_and_resolve_references()
    config.eval.update(report=True, report_queries=("query/0009_1_c1_1.jpg",))
    with pytest.raises(ValueError, match=r"must begin with the name of a dataset"):
        mbnet_jax.train(config, tmp_path / "run", mesh=one_device())
    config.eval.report_queries = ("b/query/0009_9_c1_1.jpg",)
    with pytest.raises(ValueError, match=r"'query/0009_9_c1_1\.jpg' is not a query"):
        mbnet_jax.train(config, tmp_path / "run", mesh=one_device())


def test_maps_are_drawn_by_dataset(trained, tmp_path, monkeypatch):
    file = tmp_path / "two.py"
    data = ConfigDict(trained[0].data.to_dict()).to_json()
    file.write_text(
        "import json\nfrom configs import synthetic\nfrom ml_collections import "
        "ConfigDict\n\ndef get_config():\n    c = synthetic.get_config()\n"
        f"    c.data = ConfigDict(json.loads({data!r}))\n    return c\n"
    )
    out = tmp_path / "sheet.png"
    preview.main(["--config", str(file), f"--out={out}", "--images=1"])
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "sheet-a.png",
        "sheet-b.png",
    }


def test_maps_are_made_by_dataset(trained, tmp_path, monkeypatch, capsys):
    config = trained[0].copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
        config.data.parts.a.parsing_dir = str(tmp_path / "maps")
    made, drawn = [], []
    monkeypatch.setattr(
        make_maps, "make_maps", lambda part, _, out: made.append((part, out)) or 3
    )
    monkeypatch.setattr(
        sheets, "preview", lambda part, *_: drawn.append(part.data.parsing_labels)
    )
    options = argparse.Namespace(labels="atr", model="m", address=None)
    with pytest.raises(ValueError, match=r"--out=x is a folder for one dataset, and"):
        parse._of_datasets(config, options, Path("x"))
    parse._of_datasets(config, options, None)
    (one, first), (other, second) = made
    assert one.data.synthetic.seed == 0 and other.data.synthetic.seed == 1
    assert first == tmp_path / "maps" and second.name.endswith("-maps")
    assert second.parent == Path(config.data.root) / "synthetic"
    assert drawn == ["atr", "atr"]
    flag = f"--config.data.parts.b.parsing_dir={second} --config.data.parts.b.parsing_"
    assert flag in capsys.readouterr().out
