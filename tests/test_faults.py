"""The table of faults: what counts as bit-equal, and as a promise kept."""

import shutil

import jax.numpy as jnp
import pytest

from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints
from tests.faults.place import Ended, content, difference
from tests.faults.rows import Row


@pytest.fixture
def run(tmp_path):
    """What a run leaves, with one checkpoint of two numbers."""
    folder = tmp_path / "run"
    parts = {name: {"a": jnp.arange(2.0)} for name in ("weights", "training")}
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(3, parts, NO_BEST)
    (folder / "eval").mkdir()
    for name in ("eval/metrics.json", "eval/report.html", "metrics.jsonl"):
        (folder / name).write_text("{}\n")
    return folder


def test_a_difference_in_any_part_of_a_run_is_named(run, tmp_path):
    whole = content(run)
    copy = shutil.copytree(run, tmp_path / "copy")
    assert difference(whole, copy) == ""
    for name in ("eval/metrics.json", "metrics.jsonl"):
        with (copy / name).open("a") as file:
            file.write("{}\n")
    (copy / "eval/report.html").unlink()
    found = difference(whole, copy)
    assert found == "eval/metrics.json, eval/report.html, metrics.jsonl"
    shutil.rmtree(copy)
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "checkpoints/3")
    assert difference(whole, copy) == "checkpoints/3/training, checkpoints/3/weights"


def test_a_hang_and_a_traceback_are_not_clean():
    assert Ended(1, "error: the disk is full", 1.0).clean
    assert not Ended(None, "", 300.0).clean
    assert not Ended(1, "Traceback (most recent call last):", 1.0).clean
    assert Ended(1, "bar\rerror: a\nb\n", 1.0).error == "error: a"


def test_a_broken_promise_is_seen_in_the_table():
    row = Row("SIGTERM", "training", "exit 143", "exit 1 | 2", False, "yes")
    expected = "| SIGTERM | training | exit 143 | **broken**: exit 1 / 2 | yes |"
    assert str(row) == expected
