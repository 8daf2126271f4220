"""The report of a run whose log is damaged, large, or no log."""

import json
import os

import pytest

from mbnet_jax.report.training import logged, training_figures

BAD_LINES = [
    "",
    "[]",
    "5",
    '{"loss": 1}',
    '{"step": null, "loss": 1}',
    '{"step": "2", "loss": 1}',
    '{"step": true, "loss": 1}',
    '{"step": 2.5, "loss": 1}',
    '{"step": -1, "loss": 1}',
    '{"step": 1e400, "loss": 1}',
    '{"step": 1' + "0" * 400 + ', "loss": 1}',
    '{"step": 1' + "0" * 5000 + ', "loss": 1}',
    "[" * 100_000,
    '[["step", 2], ["loss", 1]]',
]
BAD_VALUES = ["null", "[1]", '"1"', "true", "1e39", "1" + "0" * 400, '{"a": 1}']


@pytest.mark.parametrize(
    "line",
    [*BAD_LINES, *(f'{{"step": 2, "loss": {value}}}' for value in BAD_VALUES)],
    ids=lambda line: line[:20],
)
def test_damaged_lines_of_the_log_are_left_out_and_counted(line, tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_text(f'{{"step": 1, "loss": 3}}\n{line}\n{{"step": 3, "loss": 2}}\n')
    series, notes = logged(log)
    assert series == {"loss": ([1, 3], [3.0, 2.0])}
    assert notes == ["1 of 3 lines of metrics.jsonl are damaged"]


def test_a_log_that_is_no_log(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(b"\xff\xfe\0\n" * 3)
    assert logged(log) == ({}, ["3 of 3 lines of metrics.jsonl are damaged"])
    with log.open("wb") as file:
        file.truncate(1 << 30)
    series, (note,) = logged(log)
    assert not series and "has 1,073,741,824 bytes; at most" in note
    log.unlink()
    os.mkfifo(log)
    assert logged(log) == ({}, [])


def test_a_log_of_many_scalars_and_steps_is_drawn_in_part(tmp_path):
    log = tmp_path / "metrics.jsonl"
    names = {f"{n}$<b>\n": n for n in range(150)}
    log.write_text(json.dumps({"step": 1} | names) + "\n")
    series, notes = logged(log)
    assert len(series) == 100
    assert notes == ["metrics.jsonl has more than 100 scalars"]
    lines = (f'{{"step": {step}, "loss": {step % 7}}}\n' for step in range(50_000))
    log.write_text("".join(lines))
    (chart,), notes = training_figures(log)
    assert not notes and chart["last"][0]["step"] == 49_999
    assert len(chart["svg"]) < 200_000
