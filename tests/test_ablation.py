"""The ablation: its rows; runs that fail, resume, or are already finished."""

import json
import re
import shutil
from pathlib import Path

import pytest
from in_process import called

from benchmarks.ablation import __main__ as ablation
from benchmarks.ablation import train
from benchmarks.ablation.lines import LINES, read_lines
from benchmarks.ablation.rows import check_embeddings, config_of, read_rows

CONFIG = "configs/synthetic.py"
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("XLA_FLAGS")  # runs have one device


def test_every_shipped_row_is_a_valid_config():
    rows = read_rows(ablation.ROWS)
    configs = {r.name: config_of(CONFIG, r, 2, [])[0] for r in rows if r.trained}
    check_embeddings(
        rows, {name: tuple(config.model.branches) for name, config in configs.items()}
    )
    assert {config.seed for config in configs.values()} == {2}
    digests = {train.digest_of(config) for config in configs.values()}
    assert len(digests) == len(configs)  # no two rows train the same
    assert configs["whole"].model.branches == ("global", "clothing_unrelated", "mask")
    # Only the first row has no reference.
    assert [row.name for row in rows if not row.reference] == ["baseline"]


def test_the_shipped_lines_are_three_seeds_of_every_shipped_row():
    rows = {row.name: row for row in read_rows(ablation.ROWS) if row.trained}
    path = ablation.ROWS.with_name("synthetic.jsonl")
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    runs = [(line["row"], line["seed"]) for line in lines]
    assert sorted(runs) == sorted((name, seed) for name in rows for seed in range(3))
    for line in lines:
        expected = [*rows[line["row"]].overrides, f"seed={line['seed']}"]
        assert line["overrides"] == expected
    assert len({line["digest"] for line in lines}) == len(lines)
    assert len({line["fingerprint"] for line in lines}) == 1


def rows_file(folder, text):
    path = folder / "rows.toml"
    path.write_text(text)
    return path


ROW = '[[row]]\nname = "a"\noverrides = {}\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("row = 3 3", "not a TOML file"),
        ("", "it has no row"),
        ("[[row]]\noverrides = []\n", "number 1: give it a name"),
        ('[[row]]\nname = "a"\n', "row a: give either overrides or from"),
        (ROW.format('"x=1"'), "row a: overrides must be a list of strings"),
        (ROW.format("[]") + "what = 1\n", "row a: unknown what"),
        (ROW.format("[]") * 2, "duplicate row a"),
        (ROW.format("[]") + 'reference = "b"\n', "named reference=b"),
        (ROW.format("[]") + 'embedding = "legs"\n', "unknown embedding=legs"),
        ('[[row]]\nname = "a"\nfrom = "b"\n', "named from=b"),
        ("shares = []\n" + ROW.format("[]"), "unknown: shares"),
    ],
)
def test_invalid_rows_are_rejected(tmp_path, text, named):
    with pytest.raises(ValueError, match=named):
        read_rows(rows_file(tmp_path, text))


def fail(*_):
    raise AssertionError("must not be called")


@pytest.mark.parametrize(
    ("row", "more", "named"),
    [
        ('["model.kmt=False"]', (), "a: model.kmt is unknown; write model.ktm=False"),
        ('["train.epochs=many"]', (), "row a: .*epochs"),
        ('["model.branches=x"]', (), "row a: model.branches=.*: x is unknown"),
        (
            '["seed=1"]\nembedding = "all"',
            ("--config.model.branches=('mask',)",),
            "have no embedding all",
        ),
        ("[]", ("--config.data.rooot=x",), "data.rooot is unknown; write data.root=x"),
        ("[]", ("--only", "b"), "unknown row b; known: a"),
        ("[]", ("--seeds=0",), "--seeds=0 must be"),
    ],
)
def test_everything_is_checked_before_training(tmp_path, monkeypatch, row, more, named):
    monkeypatch.setattr(ablation, "train", fail)
    monkeypatch.setattr(ablation, "fingerprint", fail)
    path = rows_file(tmp_path, ROW.format(row))
    out = tmp_path / "out"
    message = called(
        monkeypatch, ablation, f"--config={CONFIG}", "--rows", path, "--out", out, *more
    )
    assert str(message).startswith("error: ")
    assert re.search(named, message), message
    assert not out.exists()


TINY = """
import sys

sys.path.insert(0, {tests!r})
import tiny

from mbnet_jax import backbones
from mbnet_jax.backbones import resnet

backbones.register(tiny.ONE_BLOCK, resnet.backbone((1, 0, 0, 0), False))


def get_config():
    c = tiny.tiny_config({data!r})
    c.model.branches = ("global",)
    tiny.set_backbones(c, name=tiny.ONE_BLOCK)
    c.model.ktm = False
    return c
"""


def test_runs_fail_independently_resume_and_are_not_repeated(
    small_data, tmp_path, monkeypatch, capfd
):
    config = tmp_path / "tiny_config.py"
    config.write_text(TINY.format(tests=str(ROOT / "tests"), data=str(small_data[0])))
    rows = rows_file(
        tmp_path,
        '[[row]]\nname = "odd"\noverrides = ["train.batch_size=7"]\n'
        '[[row]]\nname = "good"\noverrides = []\nreference = "odd"\n',
    )
    out = tmp_path / "out"
    command = ("--config", config, "--rows", rows, "--out", out, "--seeds=1")
    monkeypatch.setattr(ablation, "run_alone", lambda module: "this machine")

    assert called(monkeypatch, ablation, *command) == 1
    printed = capfd.readouterr()
    assert "1 of 2 runs failed" in printed.out
    assert "odd, seed 0 (exit code 1): error: train.batch_size=7" in printed.out
    (line,) = read_lines(out)
    tested = json.loads((out / "good/0/eval/metrics.json").read_text())
    assert line["results"] == tested["results"]
    total = (out / "good/0/parameters.txt").read_text().splitlines()[-1]
    assert f"{line['parameters']:,}" in total
    assert line["images_per_second"] > 0 and line["seconds"] > 0
    assert "this machine" in (out / "table.md").read_text()

    # The state after a kill: the last steps are lost, and the run is not tested.
    (out / LINES).unlink()
    shutil.rmtree(out / "good/0/eval")
    for checkpoint in ("checkpoints/4", "best/4"):
        shutil.rmtree(out / "good/0" / checkpoint)
    only = (*command, "--only", "good")
    assert called(monkeypatch, ablation, *only) == 0
    (again,) = read_lines(out)
    assert "resuming from step 3" in (out / "good/0/log.txt").read_text()
    assert again["results"] == line["results"] and again["seconds"] is None

    monkeypatch.setattr(ablation, "train", fail)
    assert called(monkeypatch, ablation, *only) == 0
    assert called(monkeypatch, ablation, *command[:-1], "--table") is None
    assert capfd.readouterr().out.count("| good |") == 6  # two tables, three times
    message = called(monkeypatch, ablation, *only, "--config.loss.margin=0.5")
    assert "another config" in message and "loss.margin: 0.3 -> 0.5" in message
