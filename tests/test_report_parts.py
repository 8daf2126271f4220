"""The parts of a report: curves, images, the choice of queries."""

import re
import shlex
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from modules import normal

from mbnet_jax.data import DATASETS, Split
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.results import evaluate_protocol
from mbnet_jax.report import check_report, curves
from mbnet_jax.report.cases import groups_of, main_protocol, pick_cases
from mbnet_jax.report.page import HEIGHTS, Images
from mbnet_jax.report.scores import cmc_figure
from mbnet_jax.report.write import _command
from mbnet_jax.retrieval import retrieval_metrics


def test_the_printed_command_can_be_run_again():
    words = ["eval.py", "--config=a b", "--config.x=('y',)", "it's $5", "plain"]
    command = _command(["/some/eval.py", *words[1:]])
    assert shlex.split(command) == ["python", *words]
    assert "\"--config.x=('y',)\" " in command and command.endswith(" plain")


def split(pid, name="x", **labels):
    pid = np.array(pid, np.int32)
    camera = np.array(labels.get("camera", np.zeros(len(pid))), np.int32)
    names = tuple(f"{name}/{i:03d}.jpg" for i in range(len(pid)))
    return Split(pid, camera, camera, names, np.arange(len(pid)), None)


DRAWN = Protocol("drawn", "query", "gallery", "general", draws=3)


@pytest.mark.parametrize("protocol", [DATASETS["ltcc"].protocols[0], DRAWN])
def test_cmc_equals_the_metrics_at_every_rank(protocol, monkeypatch):
    rng = np.random.default_rng(0)
    gallery = split(np.repeat(np.arange(9), 3), camera=np.ones(27))
    embedded = {
        "query": Embedded(split(np.arange(9)), {"all": normal(9, 4)}),
        "gallery": Embedded(gallery, {"all": normal(27, 4)}),
    }
    result = evaluate_protocol(embedded, protocol, (1,), seed=int(rng.integers(9)))
    lines = {}
    monkeypatch.setattr(
        curves, "cmc", lambda name, given, chance, label: lines.update(given)
    )
    cmc_figure(protocol, result, embedded, seed=0)
    ranks, shares = lines["all"]
    assert ranks.tolist() == list(range(1, 28 if not protocol.draws else 10))
    assert shares[0] == result.values["all"]["rank1"] and shares[-1] == 1
    if not protocol.draws:
        metrics = retrieval_metrics(
            embedded["query"].embeddings["all"],
            embedded["query"].split.labels,
            embedded["gallery"].embeddings["all"],
            gallery.labels,
            ranks=range(1, 28),
        )
        assert shares == pytest.approx(list(metrics.cmc.values()))


@pytest.mark.parametrize("title", ["all", "clothing-unrelated branch, re-ranked"])
def test_the_legend_of_a_cmc_figure_is_inside_it(title):
    lines = {f"{title} {i}": ([1, 2], [0.5, 1]) for i in range(8)}
    svg = curves.cmc("x", lines, ([1, 2], [0.1, 0.2]), "label")
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', svg).group(1))
    texts = re.findall(r'text-anchor="start"[^>]*? x="([-\d.]+)"[^>]*>([^<]*)<', svg)
    starts = {text: float(x) for x, text in texts}
    assert starts.keys() == lines.keys() | {"chance"}
    # A letter of 8 points is more than 3 points wide on average.
    assert all(0 < x < width - 3 * len(text) for text, x in starts.items())


def test_images_are_stored_once_and_within_the_budget():
    images = Images()
    noise = np.random.default_rng(0).integers(0, 256, (300, 150, 3), np.uint8)
    assert [images.add(key, lambda: noise) for key in "aba"] == [0, 1, 0]
    large = images.encoded()
    assert [(e["width"], e["height"]) for e in large] == [(128, HEIGHTS[0])] * 2
    size = sum(len(e["uri"]) for e in large)
    small = images.encoded(size // 3)
    assert size // 20 < sum(len(e["uri"]) for e in small) <= size // 3


def fake_result(query, precision):
    metrics = SimpleNamespace(average_precision=np.array(precision))
    return SimpleNamespace(query=query, per_draw=[metrics])


def test_queries_are_picked_by_precision_and_spread_over_persons():
    config = tiny.tiny_config("data")
    config.eval.report_lists = 2
    config.eval.report_queries = ("003.jpg",)
    query = split([7, 7, 7, 8, 8, 9, 9])
    precision = [0.9, 0.95, 0.8, 0.5, np.nan, 0.1, 0.2]
    group = [DATASETS["ltcc"].protocols[0]]
    cases = pick_cases(config, group, {"general": fake_result(query, precision)})
    kinds = {
        kind: [c.row for c in cases if kind in c.kinds]
        for kind in ("best", "worst", "random")
    }
    assert cases[0].row == 3 and cases[0].kinds[0] == "chosen"
    assert kinds["best"] == [3, 1] or kinds["best"] == [1, 3]
    assert sorted(kinds["worst"]) == [3, 5]  # 5 and 6 are the same person
    assert len(kinds["random"]) == 2 and 4 not in [c.row for c in cases]


def test_protocols_of_the_same_queries_share_their_cases():
    names = {
        name: [[p.name for p in group] for group in groups_of(spec.protocols)]
        for name, spec in DATASETS.items()
    }
    assert [len(group) for group in names["ltcc"]] == [3]
    assert [len(group) for group in names["prcc"]] == [2, 2]
    assert [len(group) for group in names["vc_clothes"]] == [1, 1, 1]
    for spec in DATASETS.values():
        assert not any(main_protocol(g).draws for g in groups_of(spec.protocols))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"report_queries": ("x/01.jpg",)}, r"'x/01.jpg' is not a query; .* x/001.jpg"),
        ({"report_queries": ("00",)}, "'00' is not a query; nearest"),
        ({"report_queries": ("000.jpg",)}, "'000.jpg' names 2 queries; .* 'x/000"),
    ],
)
def test_settings_that_do_not_fit_are_rejected(changes, message):
    config = tiny.tiny_config("data")
    config.eval.report = True
    test = {"query_same": split([0, 1]), "query_changing": split([0], "y")}
    test["gallery"] = split([0, 1])
    check_report(config, DATASETS["prcc"].protocols, test)
    config.eval.update(changes)
    with pytest.raises(ValueError, match=message):
        check_report(config, DATASETS["prcc"].protocols, test)
    config.eval.report = False
    check_report(config, DATASETS["prcc"].protocols, test)
