"""The command that draws pictures of a whole network and a baseline."""

import csv
import json

import pytest
import small_run
from in_process import called
from PIL import Image

from benchmarks.pictures import __main__ as command
from benchmarks.pictures import layout, lists, networks
from benchmarks.pictures.choice import COUNT


def changed_run(folder, to, model=(), **fields):
    """A copy of a run's folder with only its config, in which some fields differ."""
    to.mkdir()
    content = json.loads((folder / "config.json").read_text())
    content["config"]["model"] |= dict(model)
    for name, value in fields.items():
        (content if name in content else content["config"])[name] = value
    (to / "config.json").write_text(json.dumps(content))
    return to


@pytest.fixture
def runs(tested, whole, one_block, monkeypatch, tmp_path):
    """The folders of a whole network and a baseline of the same data."""
    monkeypatch.setattr(networks, "make_mesh", small_run.one_device)
    # The run was evaluated on a dataset split by another seed.
    seed = json.loads((whole[0] / "config.json").read_text())["config"]["seed"]
    folder = changed_run(tested[1], tmp_path / "whole", seed=seed)
    for path in tested[1].iterdir():
        if path.name != "config.json":
            (folder / path.name).symlink_to(path)
    return folder, whole[0]


def test_two_runs_give_four_pictures(runs, tmp_path, monkeypatch, capsys):
    compared = []
    real = command.compare
    monkeypatch.setattr(
        command, "compare", lambda *given: compared.append(real(*given)) or compared[0]
    )
    out = tmp_path / "new" / "out"
    given = ("--whole", runs[0], "--baseline", runs[1], "--out", out)
    assert called(monkeypatch, command, *given) is None
    names = {"gate.jpg", "attention.jpg", "right.jpg", "wrong.jpg"}
    assert {path.name for path in out.iterdir()} == names
    for name in names:
        assert (out / name).stat().st_size < layout.MOST_BYTES
        assert Image.open(out / name).format == "JPEG"

    # The ranking is that of the run's own evaluation.
    (of,) = compared
    rows = csv.DictReader((runs[0] / "eval" / "queries.csv").open())
    rows = [row for row in rows if row["protocol"] == "clothes_changing"]
    expected = [float(row["average_precision"]) for row in rows]
    assert of.whole.metrics.average_precision == pytest.approx(expected, abs=1e-5)
    assert of.whole.embedding == "all"
    assert list(of.baseline.query.embeddings) == ["global"]
    right = (of.whole.metrics.first_match_rank == 1).sum()
    also = (of.baseline.metrics.first_match_rank == 1).sum()
    both = (
        (of.whole.metrics.first_match_rank == 1)
        & (of.baseline.metrics.first_match_rank == 1)
    ).sum()
    printed = capsys.readouterr().out
    assert f"{len(rows)} queries" in printed
    assert f"by the whole network alone for {right - both} (" in printed
    assert f"by the baseline alone for {also - both} (" in printed
    width, height = Image.open(out / "right.jpg").size
    assert width == lists.WIDTH and height > 100
    assert COUNT == 4


@pytest.mark.parametrize(
    ("fields", "which", "message"),
    [
        (
            {"model": {"ktm": False}},
            "--whole",
            "has model.ktm=False; give a run with KTM",
        ),
        (
            {"model": {"branches": ["global", "mask"]}},
            "--whole",
            "no branch clothing_unrelated",
        ),
        ({"model": {"fam": False, "cfm": False}}, "--whole", "has neither FAM nor CFM"),
        ({"model": {"branches": ["mask"]}}, "--baseline", "has no global branch"),
        ({"labels": "other"}, "--whole", "are not those of the run --whole="),
    ],
)
def test_unsuitable_runs_are_rejected(
    runs, tmp_path, monkeypatch, fields, which, message
):
    given = {"--whole": runs[0], "--baseline": runs[1]}
    given[which] = changed_run(given[which], tmp_path / "run", **fields)
    out = tmp_path / "out"
    end = called(
        monkeypatch, command, *[x for of in given.items() for x in of], "--out", out
    )
    assert end.startswith("error: ") and message in end and "\n" not in end
    assert not out.exists()


def test_unsuitable_folders_and_data_are_rejected(runs, tmp_path, monkeypatch):
    given = ("--whole", runs[0], "--out", tmp_path / "out", "--baseline")
    end = called(monkeypatch, command, *given, tmp_path)
    assert f"--baseline={tmp_path} holds no run" in end
    digests = iter(("aaa", "bbb"))
    monkeypatch.setattr(networks, "fingerprint", lambda config: next(digests))
    end = called(monkeypatch, command, *given, runs[1])
    assert "the two runs are on different data" in end and "aaa" in end
    # The data has moved: --data-root replaces the run's own root.
    roots = []
    monkeypatch.setattr(networks, "fingerprint", lambda c: roots.append(c.data.root))
    monkeypatch.setattr(networks, "_evaluate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        called(monkeypatch, command, *given, runs[1], "--data-root", tmp_path / "moved")
    assert roots == [str(tmp_path / "moved")] * 2
