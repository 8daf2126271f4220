"""The paired comparison of two runs, against loops and against what is known."""

import csv
import re

import numpy as np
import pytest

from mbnet_jax.commands import compare as command
from mbnet_jax.evaluation.paired import Scores, compare, paired_scores
from mbnet_jax.evaluation.results import QUERIES_HEAD

ROWS = [
    ("general", 0, "a.jpg", "1", 1, 0.75),
    ("general", 0, "b.jpg", "1", 3, 0.25),
    ("general", 0, "c.jpg", "2", "", ""),
    ("general", 0, "d.jpg", "2", 2, 0.5),
    ("single", 0, "a.jpg", "1", 1, 1.0),
    ("single", 0, "d.jpg", "2", 4, 0.25),
    ("single", 1, "a.jpg", "1", 2, 0.5),
    ("single", 1, "d.jpg", "2", 1, 1.0),
]


def write(folder, rows):
    (folder / "eval").mkdir(parents=True, exist_ok=True)
    path = folder / "eval" / "queries.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([QUERIES_HEAD, *rows])
    return path


def test_queries_without_a_match_are_left_out_and_draws_averaged(tmp_path):
    other = [(*row[:4], *((1, 1.0) if row[4] else ("", ""))) for row in ROWS]
    paths = write(tmp_path / "a", ROWS), write(tmp_path / "b", other[::-1])
    pairs = paired_scores(*paths)
    assert [*pairs] == ["general", "single"]
    first, second = pairs["general"]
    assert first.person == second.person == ("1", "1", "2")
    np.testing.assert_allclose(first.values, [[0.75, 1], [0.25, 0], [0.5, 0]])
    np.testing.assert_allclose(second.values, np.ones((3, 2)))
    first, _ = pairs["single"]
    np.testing.assert_allclose(first.values, [[0.75, 0.5], [0.625, 0.5]])


def replaced(index, **fields):
    row = dict(zip(QUERIES_HEAD, ROWS[index], strict=True)) | fields
    return [*ROWS[:index], tuple(row.values()), *ROWS[index + 1 :]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:1] + ROWS[2:], r"b\S+ has no query b.jpg \(person 1, general, draw 0\)"),
        ([*ROWS, ("general", 0, "e.jpg", "3", 1, 1.0)], r"a\S+ has no query e.jpg"),
        (replaced(1, person="9"), "has no query b.jpg"),
        (replaced(6, draw=2), r"has no query a.jpg \(person 1, single, draw 1\)"),
        (
            replaced(2, first_match_rank=1, average_precision=1.0),
            "query c.jpg .* in one of .* only: their galleries differ",
        ),
        (replaced(3, average_precision="high"), r"line 5, is not of a query: .*high"),
        (replaced(3, average_precision=1.5), "line 5, is not of a query"),
        (replaced(3, first_match_rank=""), "line 5, is not of a query"),
        ([*ROWS, ROWS[0]], "line 10, is not of a query"),
        ([*ROWS, ("general", 0)], "line 10, is not of a query"),
        ([], "has no queries"),
    ],
)
def test_files_of_other_queries_are_refused(tmp_path, rows, message):
    paths = write(tmp_path / "a", ROWS), write(tmp_path / "b", rows)
    with pytest.raises(ValueError, match=message):
        paired_scores(*paths)
    paths[1].write_text("protocol,file\n")
    with pytest.raises(ValueError, match="line 1, must be protocol,draw,file"):
        paired_scores(*paths)


def slow_interval(change, groups, resamples, seed):
    """The bootstrap over groups of rows, one resample at a time."""
    rng = np.random.default_rng(seed)
    kinds = sorted({*groups})
    rows = {kind: [i for i, g in enumerate(groups) if g == kind] for kind in kinds}
    drawn = rng.integers(0, len(kinds), (resamples, len(kinds)), np.uint32)
    means = [np.mean([change[i] for k in one for i in rows[kinds[k]]]) for one in drawn]
    return np.percentile(means, 2.5), np.percentile(means, 97.5)


def scores(rng, persons, most=6, spread=1.0):
    """Two networks' scores; what a person adds to the difference has std `spread`."""
    person = [f"{p:03d}" for p in range(persons) for _ in range(rng.integers(1, most))]
    effect = dict(zip(sorted({*person}), rng.normal(0, spread, persons), strict=True))
    noise = rng.normal(0, 0.2, (2, len(person), 2))
    noise[1] += np.array([effect[p] for p in person])[:, None]
    return (Scores(tuple(person), values) for values in noise)


def test_intervals_are_those_of_a_slow_bootstrap():
    first, second = scores(np.random.default_rng(1), 7)
    found = compare(first, second, resamples=300, seed=5)
    for k, measure in enumerate(("mAP", "rank1")):
        change = (second.values - first.values)[:, k]
        of = found[measure]
        assert of.value == pytest.approx(change.mean())
        each = range(len(change))
        assert of.queries == pytest.approx(slow_interval(change, each, 300, 5))
        wider = slow_interval(change, first.person, 300, 5)
        assert of.persons == pytest.approx(wider)
    assert compare(first, second, resamples=300, seed=6) != found


def test_persons_cover_the_true_difference_and_queries_do_not():
    """95 % of intervals should hold 0, the mean of what persons add."""
    rng = np.random.default_rng(2)
    held = np.zeros(2)
    for _ in range(200):
        of = compare(*scores(rng, 40), resamples=400)["mAP"]
        held += [low <= 0 <= high for low, high in (of.persons, of.queries)]
    assert 0.89 <= held[0] / 200 <= 0.99
    assert held[1] / 200 < 0.85


def test_one_person_or_no_query_has_no_interval():
    one = Scores(("1", "1"), np.array([[0.5, 1.0], [0.25, 0.0]]))
    of = compare(one, one)["mAP"]
    assert np.isnan(of.persons).all() and of.queries == (0, 0)
    none = Scores((), np.zeros((0, 2)))
    assert np.isnan(compare(none, none)["rank1"].value)
    with pytest.raises(ValueError, match="different queries"):
        compare(one, none)


def test_large_tests_are_resampled_in_parts(monkeypatch):
    first, second = scores(np.random.default_rng(3), 20)
    whole = compare(first, second, resamples=100)
    monkeypatch.setattr("mbnet_jax.evaluation.paired._AT_A_TIME", 30)
    parts = compare(first, second, resamples=100)
    assert parts == whole


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two folders with queries; that they hold no run is not looked at."""
    monkeypatch.setattr("mbnet_jax.runs.run_folder.read_config_file", lambda _: CONTENT)
    monkeypatch.setattr("mbnet_jax.runs.run_folder.config_of", lambda _: None)
    better = [(*row[:4], *((1, 1.0) if row[4] else ("", ""))) for row in ROWS]
    write(tmp_path / "a", ROWS)
    write(tmp_path / "b", better)
    return [str(tmp_path / name) for name in "ab"]


CONTENT = {"num_classes": 2, "num_clothes": 0}


def test_the_command_prints_a_row_for_each_measure(runs, capsys):
    command.main([*runs, "--resamples", "200", "--seed", "3"])
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert "general: 3 queries of 2 persons" in printed
    assert ["mAP", "50.0", "100.0", "+50.0", "2.00"] in [line[:5] for line in rows]
    assert ["R1", "33.3", "100.0", "+66.7", "3.00"] in [line[:5] for line in rows]
    assert "200 resamples, seed 3" in printed and "over persons" in printed
    assert max(map(len, printed.splitlines()[2:])) <= 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "prcc"], "queries.csv is missing; test the run first: .*prcc"),
        (["--resamples", "0"], "--resamples=0 must be from 1"),
        (["--seed", "-1"], "--seed=-1 at least 0"),
    ],
)
def test_the_command_refuses_what_it_cannot_compare(runs, arguments, message):
    with pytest.raises(SystemExit) as end:
        command.main([*runs, *arguments])
    assert re.search(message, str(end.value.code)), end.value.code
