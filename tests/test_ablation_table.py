"""The table of an ablation, from synthetic lines; how lines are read and locked."""

import json
import shutil
import statistics
from pathlib import Path

import pytest
import tiny

from benchmarks import ablation
from benchmarks.ablation.lines import LINES, exclusive, fingerprint, read_lines
from benchmarks.ablation.rows import read_rows
from benchmarks.ablation.table import markdown, pooled_std


def line(row: str, seed: int, all_=0.5, branch=0.25, **changes) -> dict:
    """The line of a synthetic run."""

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
        "dataset": "toy",
        "parameters": 1234567,
        "images_per_second": 10.0 + seed,
        "seconds": 60.0,
        "device": "a device",
        "versions": "none",
    } | changes


ROWS = """
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


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.toml"
    path.write_text(ROWS)
    return read_rows(path)


def cells(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in text.splitlines()
        if row.startswith("|")
    ]


def test_the_table_of_synthetic_lines(rows):
    first, second = (0.50, 0.52, 0.54), (0.60, 0.61, 0.62)
    lines = [line("first", i, x) for i, x in enumerate(first)]
    lines += [line("second", i, x) for i, x in enumerate(second)]
    lines[-1]["seconds"] = None  # it was interrupted
    table = cells(markdown(rows, lines))
    # Rank-1, mAP and mINP under the last rule.
    assert ["first", "3", *["26.0 ± 1.0", "52.0 ± 2.0", "10.4 ± 0.4"] * 2] in table
    assert ["branch", "3", *["12.5 ± 0.0", "25.0 ± 0.0", "5.0 ± 0.0"] * 2] in table
    assert ["chance", "", *["5.0", "10.0", "2.0"] * 2] in table
    # Standard deviations 2 and 1: the root of (4 + 1) / 2.
    assert ["the second", "first", "+9.0", "1.6", "yes"] in table
    assert ["branch", "the second", "-36.0", "0.7", "yes"] in table
    assert ["the second", "1,234,567", "11.0 ± 1.0", "60"] in table
    assert not any(row[0] == "branch" and row[1] == "1,234,567" for row in table)
    assert "Not run: later." in markdown(rows, lines)
    assert "fingerprint `f00`" in markdown(rows, lines)


def test_a_difference_below_the_pooled_std_is_marked(rows):
    lines = [line("first", i, x) for i, x in enumerate((0.4, 0.6))]
    lines += [line("second", i, x) for i, x in enumerate((0.45, 0.65))]
    assert ["the second", "first", "+5.0", "14.1", "no"] in cells(markdown(rows, lines))


def test_one_seed_has_no_std(rows):
    table = cells(markdown(rows, [line("first", 0), line("second", 0, 0.6)]))
    assert ["first", "1", *["25.0", "50.0", "10.0"] * 2] in table
    assert ["the second", "first", "+10.0", "-", "one seed"] in table


def test_pooled_std_is_about_each_samples_own_mean():
    # A constant offset does not change it, and longer samples have more weight.
    first, second = [1.0, 2.0, 4.0], [7.0, 9.0]
    variances = 2 * statistics.variance(first) + 1 * statistics.variance(second)
    assert pooled_std(first, second) == pytest.approx((variances / 3) ** 0.5)
    shifted = [x + 100 for x in second]
    assert pooled_std(first, shifted) == pytest.approx((variances / 3) ** 0.5)


def test_runs_on_different_data_are_not_compared(rows):
    with pytest.raises(ValueError, match="several datasets"):
        markdown(rows, [line("first", 0), line("second", 0, fingerprint="bar")])


def test_a_missing_embedding_is_named(rows):
    incomplete = line("second", 0)
    for values in incomplete["results"].values():
        del values["global"]
    with pytest.raises(ValueError, match=r"row branch: .* has no embedding global"):
        markdown(rows, [incomplete])


def test_the_published_tables_are_those_of_the_published_runs():
    folder = Path(ablation.__file__).parent
    lines = (folder / "synthetic.jsonl").read_text().splitlines()
    tables = markdown(read_rows(folder / "rows.toml"), list(map(json.loads, lines)))
    page = (folder / "README.md").read_text()
    for part in tables.strip().split("\n\n"):
        assert f"\n{part}\n" in page, part[:200]


def test_the_last_line_of_a_run_counts_and_damage_is_named(tmp_path):
    path = tmp_path / LINES
    old, new = line("first", 0, 0.1), line("first", 0, 0.2)
    path.write_text("".join(json.dumps(x) + "\n" for x in (old, line("a", 1), new)))
    assert [x["results"] for x in read_lines(tmp_path) if x["row"] == "first"] == [
        new["results"]
    ]
    path.write_text(json.dumps(old) + '\n{"row": "fir')
    with pytest.raises(ValueError, match=r"lines\.jsonl:2 is damaged"):
        read_lines(tmp_path)


def test_a_folder_is_locked_by_one_ablation_at_a_time(tmp_path):
    in_use = pytest.raises(ValueError, match="in use")
    with exclusive(tmp_path), in_use, exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def test_the_fingerprint_does_not_depend_on_the_datas_folder(small_data, tmp_path):
    root, _ = small_data
    config = tiny.tiny_config(root)
    found = fingerprint(config)
    shutil.copytree(root / "synthetic", tmp_path / "synthetic")
    config.data.root = str(tmp_path)
    assert fingerprint(config) == found
    image = next(tmp_path.rglob("train/*.jpg"))
    image.write_bytes(image.read_bytes() + b"x")
    assert fingerprint(config) != found
