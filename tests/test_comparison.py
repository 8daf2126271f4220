"""The page that compares two runs, and the lists that it reads."""

import csv
import io
import json

import numpy as np
import pytest
from embedded import GOOD, angles, split
from pages import Page
from PIL import Image
from test_report import assert_only_its_own_code_runs

from mbnet_jax.commands import compare as command
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.paired import Scores
from mbnet_jax.evaluation.results import (
    evaluate_protocols,
    metrics_content,
    queries_csv,
)
from mbnet_jax.json_files import write_json
from mbnet_jax.report.changed import changed_persons, changed_queries
from mbnet_jax.report.nearest import nearest_csv, read_nearest

# Person 1 is at 0 degrees, person 2 at 90, and so on, in the second run.
PID = [1, 1, 2, 3]
RIGHT, TURNED = [0, 4, 90, 180], [0, 4, 180, 90]


def of(first, second):
    """Two networks' scores of queries a, b, ... of persons 1, 1, 2, 3."""
    return tuple(
        Scores(tuple(map(str, PID)), np.array([[v, 0] for v in values]), tuple("abcd"))
        for values in (first, second)
    )


def test_the_largest_changes_are_found_in_order():
    scores = of([0.5, 0.5, 0.2, 0.9], [0.6, 0.8, 0.1, 0.4])
    gained, lost = changed_persons(*scores, most=5)
    assert [(p.name, p.queries) for p in gained] == [("1", 2)]
    assert gained[0].second - gained[0].first == pytest.approx(0.2)
    assert [p.name for p in lost] == ["3", "2"]
    assert changed_persons(*scores, most=1)[1] == lost[:1]
    # Of each person, the query that changed most.
    assert changed_queries(*scores, most=5) == ([1], [3, 2])
    assert changed_queries(*scores, most=1) == ([1], [3])
    assert changed_queries(*of([0.5] * 4, [0.5] * 4), most=5) == ([], [])


def write_run(folder, degrees, images):
    """A tested run: its query images are at `degrees`, its gallery at RIGHT."""
    embedded = {
        "query": Embedded(split(PID, [0] * 4, PID, "query"), angles(degrees)),
        "gallery": Embedded(split(PID, [1] * 4, PID, "<b>"), angles(RIGHT)),
    }
    config = type("", (), {"eval": type("", (), {})})
    config.eval.ranks, config.eval.draw_seed, config.eval.rerank = (1, 2), 0, False
    results = evaluate_protocols(config, embedded, [GOOD])
    (folder / "eval").mkdir(parents=True)
    content = metrics_content("x", 1, [GOOD], results, [], {"images": str(images)})
    write_json(folder / "eval/metrics.json", content)
    (folder / "eval/queries.csv").write_text(queries_csv(results))
    text = nearest_csv([GOOD], embedded, seed=0)
    (folder / "eval/nearest.csv").write_text(text)
    return results, text


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs, of which the second is better, and one picture each of two splits."""
    images = tmp_path / "images"
    for name, colour in (("query/2.jpg", "red"), ("<b>/2.jpg", "blue")):
        (images / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 16), colour).save(images / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.flags, "prepare", lambda: None)
    first = write_run(tmp_path / "a", TURNED, images)
    second = write_run(tmp_path / "b", RIGHT, images)
    return first, second


def test_lists_are_those_of_the_ranking(runs, tmp_path):
    (results, text), _ = runs
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["rank"] for row in rows[:4]] == ["1", "2", "3", "4"]
    ranks = results["mine"].per_draw[0].first_match_rank
    path = tmp_path / "a/eval/nearest.csv"
    for number, rank in enumerate(ranks):
        query = f"query/{number}.jpg"
        (items,) = read_nearest(path, "mine", {query}).values()
        assert [item.match for item in items].index(True) + 1 == rank
        similarity = [item.similarity for item in items]
        assert similarity == sorted(similarity, reverse=True)
        for item in items:
            assert item.match == (item.person == str(PID[number]))
    assert read_nearest(path, "other", {"query/0.jpg"}) == {}


@pytest.mark.parametrize("line", ["mine,query/0.jpg,7,x,1,0.5,1", "mine,query/0.jpg"])
def test_damaged_lists_are_refused(runs, tmp_path, line):
    path = tmp_path / "a/eval/nearest.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match="line 18, is not of a ranked list"):
        read_nearest(path, "mine", {"query/0.jpg"})
    path.write_text("x")
    with pytest.raises(ValueError, match="line 1, must be protocol,query,rank"):
        read_nearest(path, "mine", set())


def test_the_page_shows_what_changed(runs, tmp_path, capsys):
    command.main(["a", "b", "--out", "page.html", "--resamples", "50"])
    assert "to open: page.html" in capsys.readouterr().out
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    assert not page.wrong and not page.all("b") and "http:" not in text
    assert_only_its_own_code_runs(text)
    (headline,) = (e[2] for e in page.elements if e[1].get("class") == "headline")
    results = [of[0]["mine"].values["all"]["mAP"] for of in runs]
    values = [f"{100 * value:.1f}" for value in results]
    assert headline.startswith(f"mine mAP {values[0]} and {values[1]}, +")
    assert [float(v) for v in values] == sorted(map(float, values))
    # Persons 2 and 3 gained, by one query each, shown with both lists.
    cards = text.split('<article class="card"')[1:]
    assert len(cards) == 2
    for card in cards:
        lists = card.split('<ol class="ranked"')[1:]
        assert len(lists) == 2
        first = [one.split("<li")[2] for one in lists]
        assert 'class="wrong"' in first[0] and 'class="right"' in first[1]
    assert len(page.all("image")) == 2
    assert "pictures are missing" in text  # the other files do not exist
    # It replaces its own page alone.
    command.main(["a", "b", "--out", "page.html", "--resamples", "50"])
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(SystemExit) as end:
        command.main(["a", "b", "--out", "mine.html"])
    assert "is no page of a comparison" in str(end.value.code)


def test_runs_without_lists_have_tables(runs, tmp_path):
    (tmp_path / "b/eval/nearest.csv").unlink()
    command.main(["a", "b", "--out", "page.html", "--resamples", "50"])
    text = (tmp_path / "page.html").read_text()
    assert "No ranked lists in <bdi>b/eval</bdi>" in text
    assert text.count('<ol class="ranked"') == 2


def test_names_that_lead_out_of_the_folder_are_not_read(runs, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 16)).save(secret)
    for run in "ab":
        for name in ("nearest.csv", "queries.csv"):
            path = tmp_path / run / "eval" / name
            path.write_text(path.read_text().replace("query/2.jpg", "../secret.png"))
    command.main(["a", "b", "--out", "page.html", "--resamples", "50"])
    text = (tmp_path / "page.html").read_text()
    assert "../secret.png" in text and len(Page(text).all("image")) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "images"], "--images is for the page; give its --out"),
        (["--images", "no", "--out", "x.html"], "--images=no is not a folder"),
        (["--out", "images"], "--out=images is a folder"),
    ],
)
def test_flags_that_do_not_fit_are_refused(runs, arguments, message):
    with pytest.raises(SystemExit) as end:
        command.main(["a", "b", *arguments])
    assert message in str(end.value.code)


def test_metrics_of_other_protocols_are_refused(runs, tmp_path):
    path = tmp_path / "a/eval/metrics.json"
    content = json.loads(path.read_text())
    for part in ("results", "protocols"):
        content[part] = {"other": content[part]["mine"]}
    content["protocols"]["other"]["name"] = "other"
    path.write_text(json.dumps(content))
    with pytest.raises(SystemExit) as end:
        command.main(["a", "b", "--out", "page.html"])
    assert "other protocols than its queries.csv" in str(end.value.code)
