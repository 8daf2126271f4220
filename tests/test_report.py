"""The report's page: it shows the measured values and fetches nothing."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from pages import Page

from mbnet_jax.evaluation.table import per_cent, title_of
from mbnet_jax.files import printable
from mbnet_jax.models import BRANCHES
from mbnet_jax.report import curves
from mbnet_jax.report.page import render
from mbnet_jax.report.training import charts, logged
from mbnet_jax.retrieval import Histograms


@pytest.fixture(scope="module")
def text(tested):
    return (tested[1] / "eval" / "report.html").read_text()


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture(scope="module")
def measured(tested):
    return json.loads((tested[1] / "eval" / "metrics.json").read_text())


def rows_of(text, caption):
    """Row title -> cells, of the table whose caption starts with `caption`."""
    table = re.search(rf"<caption>{caption}.*?</table>", text, re.DOTALL).group()
    return {
        title: re.findall("<td>(?:<strong>)?(.*?)(?:</strong>)?</td>", cells)
        for title, cells in re.findall(
            r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table, re.DOTALL
        )
    }


def test_the_page_is_valid_small_and_fetches_nothing(text, page):
    assert not page.wrong
    assert len(text.encode()) < 10e6
    ids = [e[1]["id"] for e in page.elements if "id" in e[1]]
    assert len(ids) == len(set(ids)) and "_INK" not in text
    pointed = [e[1][k] for e in page.elements for k in ("href", "src") if k in e[1]]
    pointed += re.findall(r"url\((.*?)\)", text)
    assert len(pointed) > 50
    for target in pointed:
        assert target.startswith("data:") or target[1:] in ids, target
    labelled = [
        e[1]["aria-labelledby"] for e in page.elements if "aria-labelledby" in e[1]
    ]
    assert set(labelled) <= set(ids)
    assert "http" not in re.sub('http-equiv="Content', "", text)


def assert_only_its_own_code_runs(text):
    """The content policy names each style sheet and script, and allows nothing else."""
    page = Page(text)
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(rule.split(" ", 1) for rule in policy[1]["content"].split("; "))
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        blocks = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(blocks) == len(page.all(tag))
        digests = (hashlib.sha256(block.encode()).digest() for block in blocks)
        hashes = (f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)
        assert rules.pop(rule) == (" ".join(hashes) or "'none'")
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "form-action": "'none'",
        "base-uri": "'none'",
    }
    for _, attributes, _ in page.elements:
        assert not [a for a in attributes if a == "style" or a.startswith("on")]


def test_only_its_own_code_runs(text):
    assert_only_its_own_code_runs(text)


NAMES = [
    "</script><script>alert(1)</script>",
    "--><img src=x onerror=alert(1)>",
    "'\"><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% include 'style.css' %}",
    "a\u2028b\u2029c\x00\n",
    "\u202egpj.exe",
    "\ud800\udcff",
    pytest.param("x" * 100_000, id="long"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_search_page_shows_any_name(name):
    hit = {
        "name": name,
        "picture": None,
        "similarity": "0.5",
        "note": name,
        "where": name,
    }
    text = render(
        "search.html",
        title="Search results",
        gallery=name,
        what="1 photograph",
        scenes=False,
        described=name,
        queries=[{"name": name, "picture": None, "where": name, "hits": [hit]}],
        most=None,
        failed_queries=[(name, name)],
        failed=[(name, name)],
        most_failures=10,
    )
    text.encode()
    assert_only_its_own_code_runs(text)
    page = Page(text)
    assert not page.wrong
    assert {e[0] for e in page.elements}.isdisjoint({"script", "svg", "img"})
    shown = [e[2] for e in page.all("strong") if e[2] not in ("1.", "")]
    assert shown == [re.sub("[\ud800-\udfff]", "\ufffd", name)] * 2


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_figure_shows_any_name(name):
    svg = curves.over_steps(
        "x", {printable(name): ([1, 2], [1, 2])}, "y", printable(name)
    )
    page = Page(svg)
    assert not page.wrong and "style=" not in svg
    assert {e[0] for e in page.elements}.isdisjoint({"script", "img"})


def test_names_cannot_become_markup(text, page):
    assert "&lt;b&gt;tiny&lt;/b&gt; &amp; &#39;more&#39;" in text
    assert not page.all("b")
    some = np.arange(len(Histograms(*[np.zeros(2000)] * 2).true)) == 1000
    svg = curves.similarities("x", Histograms(some, some), (990, 1010), '<i a="1">&')
    (drawn,) = Page(svg).all("svg")
    assert drawn[1]["aria-label"] == '<i a="1">&' and not Page(svg).wrong


def test_the_table_has_the_measured_values(text, measured):
    rows = rows_of(text, "Test split")
    results = measured["results"]
    bold = re.findall(r"<td><strong>(.*?)</strong></td>", text)
    for values in results.values():
        own = [values[name] for name in values if name != "chance"]
        for measure in ("rank1", "rank5", "rank10", "mAP", "mINP"):
            assert per_cent(max(own, key=lambda v: v[measure]), measure) in bold
    main = results["clothes_changing"]
    branch = max(BRANCHES, key=lambda name: main[name]["mAP"])
    (said,) = re.findall(r'<p class="headline">(.*?)</p>', text, re.DOTALL)
    assert re.sub("<.*?>|\n", "", said).startswith(
        f"clothes-changing: mAP {per_cent(main['all'], 'mAP')} %, rank 1 "
    )
    assert f"Chance: mAP {per_cent(main['chance'], 'mAP')} %." in said
    assert f"mAP {per_cent(main[branch], 'mAP')} % ({title_of(branch)})" in said
    assert list(rows) == [title_of(name) for name in results["general"]]
    for name in results["general"]:
        assert rows[title_of(name)] == [
            per_cent(values[name], measure)
            for values in results.values()
            for measure in ("rank1", "rank5", "rank10", "mAP", "mINP")
        ]


@pytest.mark.parametrize("protocol", ["general", "same_clothes", "clothes_changing"])
def test_curves_and_pairs_equal_the_measured_values(text, measured, protocol):
    results, title = measured["results"][protocol], protocol.replace("_", "-")
    for row, cells in rows_of(text, f"Per cent of the queries, {title}<").items():
        name = next(name for name in results if title_of(name) == row)
        assert cells[:2] == [per_cent(results[name], m) for m in ("rank1", "rank5")]
    pairs = rows_of(text, f"Similarities under {title}")
    assert list(pairs) == [
        title_of(n) for n in ("global", "clothing_unrelated", "mask", "all")
    ]
    assert all(0 < float(cells[2]) <= 100 for cells in pairs.values())


def test_every_list_shows_right_and_wrong_and_every_query_its_maps(
    tested, text, page, measured
):
    config, workdir = tested
    cards = text.split('<article class="card"')[1:]
    kinds = [re.match(r' data-kinds="(.*?)"', card).group(1).split() for card in cards]
    assert {kind for of in kinds for kind in of} == {
        "chosen",
        "random",
        "best",
        "worst",
    }
    assert "chosen" in kinds[0] and config.eval.report_queries[0] in cards[0]
    scores = (workdir / "eval" / "queries.csv").read_text()
    for card in cards:
        file = re.search(r'<h3 id="query-\d+">(.*?)</h3>', card).group(1)
        lists = card.split('<div class="list"')[1:]
        assert len(lists) == len(measured["results"]) * 4
        for one in lists:
            right = re.findall(r'<li class="(right|wrong)"', one)
            assert len(right) == len(re.findall(r"<strong class=\"verdict\">\d", one))
            assert right.count("right") == len(re.findall(r"\d\. right<", one))
            verdict = re.search(r'data-verdict="(.*?)"', one).group(1)
            first = re.search(r"first true match at rank (\d+)", one)
            if verdict == "no match":
                assert first is None and "right" not in right
            else:
                assert verdict == right[0]
                assert right.index("right") + 1 == int(first.group(1))
            protocol, name = re.search(
                r'data-rule="(.*?)" data-embedding="(.*?)"', one
            ).groups()
            if name == "all":
                rank = first.group(1) if first else ""
                assert re.search(rf"{protocol},0,{file},\d+,{rank},", scores)
        # The query, and its nearest true match if it has one.
        matched, _, card = card.partition("<summary>Attention maps</summary>")
        shown = len(re.findall("<h4>", card))
        assert shown == 1 + (
            'rule="clothes_changing" data-embedding="all" data-verdict="no' not in card
        )
        # What matched: each branch, of the match and of a wrong image at rank 1.
        assert len(re.findall('class="two"', matched)) == 3 * matched.count("<h4>")
        assert matched.count("<h4>Its nearest true match") == shown - 1
        assert matched.count("<h4>Another person") == (
            'rule="clothes_changing" data-embedding="all" data-verdict="right'
            not in matched
        )
        for caption in ("KTM&#39;s gate", "FAM&#39;s attention", "CFM: where the sil"):
            assert len(re.findall(f"<figcaption>{caption}", card)) == shown
        branches = re.findall(r'aria-label="balance weight, (.*?)"', card)
        assert branches == [title_of(b) for b in BRANCHES] * shown
        weights = [float(w) for w in re.findall(r'<meter .*? value="(.*?)"', card)]
        assert len(weights) == 3 * shown
        assert np.reshape(weights, (-1, 3)).mean(1) == pytest.approx(1, abs=2e-3)
    stored = page.all("image")
    assert len({e[1]["href"] for e in stored}) == len(stored)


def test_training_curves_are_drawn_if_there_is_a_log(text, tmp_path):
    assert "Last: loss 2.25 (step 2)" in text
    log = tmp_path / "metrics.jsonl"
    assert logged(log) == ({}, [])
    log.write_text(
        '{"step": 1, "triplet/mask": 2, "triplet/global": NaN, "bad_steps": 0}\n'
        '{"step": 2, "triplet/global": 1, "balance": 0.5, "bad_steps": 0}\n'
        '{"step": 3, "loss'
    )
    series, notes = logged(log)
    drawn = charts(series)
    assert not notes  # a kill may cut off the last line
    assert drawn == {
        "triplet": {"global": ([2], [1.0]), "mask": ([1], [2.0])},
        "modules' losses": {"balance": ([2], [0.5])},
    }
    assert list(drawn["triplet"]) == ["global", "mask"]
