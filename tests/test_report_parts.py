"""The parts of a report: curves, maps over images, the choice of queries."""

import shlex
from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import tiny
from modules import normal

from mbnet_jax.data import DATASETS, Split
from mbnet_jax.evaluation.measure import Embedded, judge
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.losses import pool_area
from mbnet_jax.models.cfm import CrossFusion, position_codes
from mbnet_jax.report import check_report, curves, heat
from mbnet_jax.report.cases import groups_of, judging, pick_cases
from mbnet_jax.report.content import cmc_of
from mbnet_jax.report.images import HEIGHTS, Images
from mbnet_jax.report.looks import asked_cells
from mbnet_jax.report.write import _command
from mbnet_jax.retrieval import retrieval_metrics


def test_the_command_can_be_given_again():
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
def test_cmc_is_that_of_the_metrics_at_every_rank(protocol, monkeypatch):
    rng = np.random.default_rng(0)
    gallery = split(np.repeat(np.arange(9), 3), camera=np.ones(27))
    embedded = {
        "query": Embedded(split(np.arange(9)), {"all": normal(9, 4)}),
        "gallery": Embedded(gallery, {"all": normal(27, 4)}),
    }
    judged = judge(embedded, protocol, (1,), seed=int(rng.integers(9)))
    lines = {}
    monkeypatch.setattr(
        curves, "cmc", lambda name, given, chance, label: lines.update(given)
    )
    cmc_of(protocol, judged, embedded, seed=0)
    ranks, shares = lines["all"]
    assert ranks.tolist() == list(range(1, 28 if not protocol.draws else 10))
    assert shares[0] == judged.values["all"]["rank1"] and shares[-1] == 1
    if not protocol.draws:
        metrics = retrieval_metrics(
            embedded["query"].embeddings["all"],
            embedded["query"].split.labels,
            embedded["gallery"].embeddings["all"],
            gallery.labels,
            ranks=range(1, 28),
        )
        assert shares == pytest.approx(list(metrics.cmc.values()))


def test_a_hot_cell_lies_on_the_pixels_that_training_compares_it_with():
    image = np.full((64, 32, 3), 128, np.uint8)
    for row, column in ((0, 0), (2, 1), (3, 1)):
        area = np.zeros((1, 64, 32), np.float32)
        area[0, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 1
        cells = np.asarray(pool_area(area, (4, 2)))[0].reshape(4, 2)
        assert cells[row, column] == 1 and cells.sum() == 1
        picture = heat.over(image, cells, 0, 1, height=128)
        light = picture.astype(int).sum(-1)
        hot = light == light.max()
        np.testing.assert_array_equal(hot, area[0].repeat(2, 0).repeat(2, 1) == 1)
    # Nothing of a map is lost where cells and pixels do not divide.
    odd = heat.over(image, np.arange(15.0).reshape(5, 3), 0, 14, height=31)
    assert len(np.unique(odd.reshape(-1, 3), axis=0)) == 15


def test_colours_grow_lighter_and_keep_within_their_range():
    bar = heat.scale_bar().astype(int)
    grey = bar @ [299, 587, 114]
    assert (np.diff(grey[0]) >= -2000).all() and grey[0, -1] > 2 * grey[0, 0]
    low, high = heat.range_of(np.array([0.5, 0.52]))
    assert (low, high) == pytest.approx((0.46, 0.56))
    assert heat.range_of(np.array([0.1, 0.9])) == (0.1, 0.9)


@pytest.mark.parametrize("asking", ["mask", "unrelated"])
def test_asked_cells_are_the_softmax_of_the_questions(asking):
    mask, unrelated = normal(2, 3, 2, 5), normal(2, 4, 2, 6)
    module = CrossFusion(width=8, heads=2)
    init = jax.jit(lambda: module.init(jax.random.key(0), mask, unrelated, train=False))
    variables = init()
    assert "intermediates" not in variables
    plain = jax.jit(partial(module.apply, train=False))(variables, mask, unrelated)
    watched = partial(
        module.apply,
        train=False,
        mutable=["intermediates"],
        capture_intermediates=lambda m, _: (m.name or "").startswith("tokens"),
    )
    fused, state = jax.jit(watched)(variables, mask, unrelated)
    np.testing.assert_array_equal(plain, fused)
    found = asked_cells(
        {
            "cross_fusion": state["intermediates"],
            "clothing_unrelated_backbone": {"__call__": (unrelated,)},
            "mask_backbone": {"__call__": (mask,)},
        },
        f"{asking}_asks",
    )
    left = state["intermediates"]
    tokens = {
        name: np.asarray(left[f"tokens_{name}"]["__call__"][0])
        + position_codes(h, 2, 8)
        for name, h in (("mask", 3), ("unrelated", 4))
    }
    attention = variables["params"][f"{asking}_asks"]["attention"]
    asked, cells = ("unrelated", 8) if asking == "mask" else ("mask", 6)
    query, key = (
        np.einsum("bnc,chd->bhnd", tokens[of], attention[part]["kernel"])
        + np.asarray(attention[part]["bias"])[:, None]
        for of, part in ((asking, "query"), (asked, "key"))
    )
    weight = np.exp(np.einsum("bhqd,bhkd->bhqk", query, key) / np.sqrt(4))
    weight /= weight.sum(-1, keepdims=True)
    expected = cells * weight.mean((1, 2)).reshape(2, cells // 2, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.asarray(found).mean((1, 2)) == pytest.approx(1, rel=1e-5)


def test_images_are_kept_once_and_within_the_budget():
    images = Images()
    noise = np.random.default_rng(0).integers(0, 256, (300, 150, 3), np.uint8)
    assert [images.add(key, lambda: noise) for key in "aba"] == [0, 1, 0]
    large = images.encoded()
    assert [(e["width"], e["height"]) for e in large] == [(128, HEIGHTS[0])] * 2
    size = sum(len(e["uri"]) for e in large)
    small = images.encoded(size // 3)
    assert size // 20 < sum(len(e["uri"]) for e in small) <= size // 3


def outcome(query, precision):
    of = SimpleNamespace(average_precision=np.array(precision))
    return SimpleNamespace(query=query, per_draw=[of])


def test_queries_are_picked_by_precision_and_spread_over_persons():
    config = tiny.tiny_config("data")
    config.eval.report_lists = 2
    config.eval.report_queries = ("003.jpg",)
    query = split([7, 7, 7, 8, 8, 9, 9])
    precision = [0.9, 0.95, 0.8, 0.5, np.nan, 0.1, 0.2]
    group = [DATASETS["ltcc"].protocols[0]]
    cases = pick_cases(config, group, {"general": outcome(query, precision)})
    kinds = {
        kind: [c.row for c in cases if kind in c.kinds]
        for kind in ("best", "worst", "random")
    }
    assert cases[0].row == 3 and cases[0].kinds[0] == "chosen"
    assert kinds["best"] == [3, 1] or kinds["best"] == [1, 3]
    assert sorted(kinds["worst"]) == [3, 5]  # not 5 and 6, who are one person
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
        assert not any(judging(group).draws for group in groups_of(spec.protocols))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"report_lists": 7}, "eval.report_lists=7 must be from 0 to 6"),
        ({"report_lists": -1}, "eval.report_lists=-1 must be"),
        ({"report_queries": ("x/01.jpg",)}, r"'x/01.jpg' is no query; .* x/001.jpg"),
        ({"report_queries": ("00",)}, "'00' is no query; nearest"),
        ({"report_queries": ("000.jpg",)}, "'000.jpg' names 2 queries; .* 'x/000"),
        ({"report_queries": ("a",) * 11}, "names 11 files; a report holds 10"),
    ],
)
def test_what_cannot_be_shown_is_refused(changes, message):
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
