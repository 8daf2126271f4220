"""The ablation: its rows, its table, and runs that fail, stop and are not repeated."""

import json
import re
import shutil
import statistics
import sys
from pathlib import Path

import pytest

from benchmarks.ablation import __main__ as ablation
from benchmarks.ablation import train
from benchmarks.ablation.lines import LINES, alone, fingerprint, read_lines
from benchmarks.ablation.rows import check_embeddings, config_of, read_rows
from benchmarks.ablation.table import markdown, pooled_deviation

CONFIG = "configs/synthetic.py"
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("XLA_FLAGS")  # runs have one device


def test_every_row_that_ships_is_a_config():
    rows = read_rows(ablation.ROWS)
    configs = {r.name: config_of(CONFIG, r, 2, [])[0] for r in rows if r.trained}
    check_embeddings(
        rows, {name: tuple(config.model.branches) for name, config in configs.items()}
    )
    assert {config.seed for config in configs.values()} == {2}
    digests = {train.digest_of(config) for config in configs.values()}
    assert len(digests) == len(configs)  # no two rows train the same
    assert configs["whole"].model.branches == ("global", "clothing_unrelated", "mask")
    # Only the first has nothing to be compared with.
    assert [row.name for row in rows if not row.reference] == ["baseline"]


def rows_file(folder, text):
    path = folder / "rows.toml"
    path.write_text(text)
    return path


ROW = '[[row]]\nname = "a"\noverrides = {}\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("row = 3 3", "no TOML file"),
        ("", "it has no row"),
        ("[[row]]\noverrides = []\n", "number 1: give it a name"),
        ('[[row]]\nname = "a"\n', "row a: give either overrides or from"),
        (ROW.format('"x=1"'), "row a: overrides is a list of texts"),
        (ROW.format("[]") + "what = 1\n", "row a: unknown what"),
        (ROW.format("[]") * 2, "a is there twice"),
        (ROW.format("[]") + 'reference = "b"\n', "named reference=b"),
        (ROW.format("[]") + 'embedding = "legs"\n', "unknown embedding=legs"),
        ('[[row]]\nname = "a"\nfrom = "b"\n', "named from=b"),
        ("shares = []\n" + ROW.format("[]"), "unknown: shares"),
    ],
)
def test_rows_that_make_no_sense_are_refused(tmp_path, text, named):
    with pytest.raises(ValueError, match=named):
        read_rows(rows_file(tmp_path, text))


def run(monkeypatch, *arguments) -> str | int | None:
    """The command in this process; its exit code or message."""
    monkeypatch.setattr(sys, "argv", ["ablation", *map(str, arguments)])
    try:
        ablation.main()
    except SystemExit as end:
        return end.code


def fail(*_):
    raise AssertionError("this was not to be trained")


@pytest.mark.parametrize(
    ("row", "more", "named"),
    [
        ('["model.kmt=False"]', (), "row a: unknown key config.model.kmt; nearest"),
        ('["train.epochs=many"]', (), "row a: .*epochs"),
        ('["model.branches=(3,)"]', (), "row a: unknown branch 3"),
        (
            '["seed=1"]\nembedding = "all"',
            ("--config.model.branches=('mask',)",),
            "have no embedding all",
        ),
        ("[]", ("--config.data.rooot=x",), "config.data.rooot; nearest"),
        ("[]", ("--only", "b"), "there is no row b; there are a"),
        ("[]", ("--seeds=0",), "--seeds=0 must be"),
    ],
)
def test_nothing_is_trained_before_all_is_checked(
    tmp_path, monkeypatch, row, more, named
):
    monkeypatch.setattr(ablation, "train", fail)
    monkeypatch.setattr(ablation, "fingerprint", fail)
    path = rows_file(tmp_path, ROW.format(row))
    out = tmp_path / "out"
    message = run(
        monkeypatch, f"--config={CONFIG}", "--rows", path, "--out", out, *more
    )
    assert str(message).startswith("error: ")
    assert re.search(named, message), message
    assert not out.exists()


def line(row: str, seed: int, all_=0.5, branch=0.25, **changes) -> dict:
    """A made-up run."""

    def values(mAP):
        return {"rank1": mAP / 2, "rank5": 1.0, "mAP": mAP, "mINP": mAP / 5}

    results = {
        protocol: {"global": values(branch), "all": values(all_), "chance": values(0.1)}
        for protocol in ("general", "clothes_changing")
    }
    return {
        "row": row,
        "seed": seed,
        "results": results,
        "fingerprint": "f00",
        "dataset": "made up",
        "parameters": 1234567,
        "images_per_second": 10.0 + seed,
        "seconds": 60.0,
        "device": "a device",
        "versions": "none",
    } | changes


TABLE_ROWS = """
[[row]]
name = "first"
overrides = []
[[row]]
name = "second"
title = "the second"
reference = "first"
overrides = []
[[row]]
name = "branch"
from = "second"
embedding = "global"
reference = "second"
[[row]]
name = "later"
reference = "first"
overrides = []
"""


def cells(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in text.splitlines()
        if row.startswith("|")
    ]


def test_the_table_of_made_up_lines(tmp_path):
    rows = read_rows(rows_file(tmp_path, TABLE_ROWS))
    first, second = (0.50, 0.52, 0.54), (0.60, 0.61, 0.62)
    lines = [line("first", i, x) for i, x in enumerate(first)]
    lines += [line("second", i, x) for i, x in enumerate(second)]
    lines[-1]["seconds"] = None  # it was stopped
    table = cells(markdown(rows, lines))
    # Rank-1, mAP and mINP under the last rule.
    assert ["first", "3", *["26.0 ± 1.0", "52.0 ± 2.0", "10.4 ± 0.4"] * 2] in table
    assert ["branch", "3", *["12.5 ± 0.0", "25.0 ± 0.0", "5.0 ± 0.0"] * 2] in table
    assert ["chance", "", *["5.0", "10.0", "2.0"] * 2] in table
    # Deviations 2 and 1: the root of (4 + 1) / 2.
    assert ["the second", "first", "+9.0", "1.6", "yes"] in table
    assert ["branch", "the second", "-36.0", "0.7", "yes"] in table
    assert ["the second", "1,234,567", "11.0 ± 1.0", "60"] in table
    assert not any(row[0] == "branch" and row[1] == "1,234,567" for row in table)
    assert "Not run: later." in markdown(rows, lines)
    assert "fingerprint `f00`" in markdown(rows, lines)


def test_a_difference_within_the_deviation_is_said_to_be(tmp_path):
    rows = read_rows(rows_file(tmp_path, TABLE_ROWS))
    lines = [line("first", i, x) for i, x in enumerate((0.4, 0.6))]
    lines += [line("second", i, x) for i, x in enumerate((0.45, 0.65))]
    assert ["the second", "first", "+5.0", "14.1", "no"] in cells(markdown(rows, lines))


def test_one_seed_has_no_deviation(tmp_path):
    rows = read_rows(rows_file(tmp_path, TABLE_ROWS))
    table = cells(markdown(rows, [line("first", 0), line("second", 0, 0.6)]))
    assert ["first", "1", *["25.0", "50.0", "10.0"] * 2] in table
    assert ["the second", "first", "+10.0", "-", "one seed"] in table


def test_pooled_deviation_is_about_each_sample_s_own_mean():
    # A constant between them does not change it, and longer samples weigh more.
    first, second = [1.0, 2.0, 4.0], [7.0, 9.0]
    variances = 2 * statistics.variance(first) + 1 * statistics.variance(second)
    assert pooled_deviation(first, second) == pytest.approx((variances / 3) ** 0.5)
    shifted = [x + 100 for x in second]
    assert pooled_deviation(first, shifted) == pytest.approx((variances / 3) ** 0.5)


def test_lines_of_other_data_are_not_compared(tmp_path):
    rows = read_rows(rows_file(tmp_path, TABLE_ROWS))
    with pytest.raises(ValueError, match="several datasets"):
        markdown(rows, [line("first", 0), line("second", 0, fingerprint="bar")])


def test_a_missing_embedding_is_named(tmp_path):
    rows = read_rows(rows_file(tmp_path, TABLE_ROWS))
    lacking = line("second", 0)
    for values in lacking["results"].values():
        del values["global"]
    with pytest.raises(ValueError, match=r"row branch: .* has no embedding global"):
        markdown(rows, [lacking])


def test_of_a_run_s_lines_the_last_counts_and_damage_is_named(tmp_path):
    path = tmp_path / LINES
    old, new = line("first", 0, 0.1), line("first", 0, 0.2)
    path.write_text("".join(json.dumps(x) + "\n" for x in (old, line("a", 1), new)))
    assert [x["results"] for x in read_lines(tmp_path) if x["row"] == "first"] == [
        new["results"]
    ]
    path.write_text(json.dumps(old) + '\n{"row": "fir')
    with pytest.raises(ValueError, match=r"lines\.jsonl:2 is damaged"):
        read_lines(tmp_path)


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    with alone(tmp_path), pytest.raises(ValueError, match="in use"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_the_fingerprint_is_of_the_data_wherever_it_lies(small_data, tmp_path):
    import tiny

    root, _ = small_data
    config = tiny.tiny_config(root)
    found = fingerprint(config)
    shutil.copytree(root / "synthetic", tmp_path / "synthetic")
    config.data.root = str(tmp_path)
    assert fingerprint(config) == found
    image = next(tmp_path.rglob("train/*.jpg"))
    image.write_bytes(image.read_bytes() + b"x")
    assert fingerprint(config) != found


TINY = """
import sys

sys.path.insert(0, {tests!r})
import tiny

from mbnet_jax.models import resnet

resnet.DEPTHS[tiny.ONE_BLOCK] = ((1, 0, 0, 0), False)


def get_config():
    c = tiny.tiny_config({data!r})
    c.model.branches = ("global",)
    c.model.backbone = tiny.ONE_BLOCK
    c.model.ktm = False
    return c
"""


def test_runs_fail_alone_go_on_and_are_not_repeated(
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

    assert run(monkeypatch, *command) == 1
    printed = capfd.readouterr()
    assert "1 of 2 runs failed" in printed.out
    assert "odd, seed 0 (exit code 1): error: train.batch_size=7" in printed.out
    (made,) = read_lines(out)
    tested = json.loads((out / "good/0/eval/metrics.json").read_text())
    assert made["results"] == tested["results"]
    total = (out / "good/0/parameters.txt").read_text().splitlines()[-1]
    assert f"{made['parameters']:,}" in total
    assert made["images_per_second"] > 0 and made["seconds"] > 0
    assert "this machine" in (out / "table.md").read_text()

    # As a kill leaves it: the last steps are lost, and nothing was tested.
    (out / LINES).unlink()
    shutil.rmtree(out / "good/0/eval")
    for checkpoint in ("checkpoints/4", "best/4"):
        shutil.rmtree(out / "good/0" / checkpoint)
    only = (*command, "--only", "good")
    assert run(monkeypatch, *only) == 0
    (again,) = read_lines(out)
    assert "going on from step 3" in (out / "good/0/log.txt").read_text()
    assert again["results"] == made["results"] and again["seconds"] is None

    monkeypatch.setattr(ablation, "train", fail)
    assert run(monkeypatch, *only) == 0
    assert run(monkeypatch, *command[:-1], "--table") is None
    assert capfd.readouterr().out.count("| good |") == 6  # two tables, three times
    message = run(monkeypatch, *only, "--config.loss.margin=0.5")
    assert "another config" in message and "loss.margin: 0.3 -> 0.5" in message
