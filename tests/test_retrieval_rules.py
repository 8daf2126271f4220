"""A rule added from outside the package, and rules that are unknown or invalid."""

import numpy as np
import pytest
import retrieval_reference as reference
from retrieval_reference import random_features, random_labels

from mbnet_jax.data import Protocol, Split
from mbnet_jax.evaluation.protocols import usable_protocols
from mbnet_jax.retrieval import (
    RULES,
    Labels,
    Rule,
    chance_level,
    ranked_lists,
    retrieval_metrics,
    similarity_histograms,
)

QUERIES, GALLERY = 9, 80


@pytest.fixture
def rule(monkeypatch):
    """The name of a new rule: junk has the query's camera and its clothes."""
    same_view = Rule(
        junk=lambda same: same.camera & same.clothes,
        needs=frozenset({"camera", "clothes"}),
    )
    monkeypatch.setitem(RULES, "same_view", same_view)
    return "same_view"


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return (
        random_features(rng, "tied", QUERIES),
        random_labels(rng, QUERIES),
        random_features(rng, "tied", GALLERY),
        random_labels(rng, GALLERY),
    )


def test_metrics_and_ranked_lists_under_a_new_rule(rule, data):
    query, query_labels, gallery, gallery_labels = data
    similarity = reference.similarities(query, gallery)
    _, mean_inp, cmc, ap, first = reference.metrics(
        similarity, query_labels, gallery_labels, rule, (1, 5)
    )
    metrics = retrieval_metrics(*data, rule=rule, ranks=(1, 5))
    np.testing.assert_array_equal(metrics.first_match_rank, first)
    np.testing.assert_allclose(metrics.average_precision, ap, atol=1e-6)
    assert (metrics.mINP, metrics.cmc) == (pytest.approx(mean_inp), cmc)
    general = retrieval_metrics(*data)
    assert (metrics.average_precision != general.average_precision).any()

    lists = ranked_lists(*data, rule=rule, k=GALLERY)
    thrown_out = 0
    for q in range(QUERIES):
        order, hit = reference.ranking(
            q, similarity, query_labels, gallery_labels, rule
        )
        np.testing.assert_array_equal(lists.indices[q, : len(order)], order)
        np.testing.assert_array_equal(lists.correct[q, : len(order)], hit)
        assert (lists.indices[q, len(order) :] == -1).all()
        thrown_out += GALLERY - len(order)
    assert thrown_out > 0


def test_histograms_and_chance_under_a_new_rule(rule, data):
    _, query_labels, _, gallery_labels = data
    pairs = [
        reference.keep_and_match(q, query_labels, gallery_labels, rule)
        for q in range(QUERIES)
    ]
    matches = np.array([match.sum() for _, match in pairs])
    kept = np.array([keep.sum() for keep, _ in pairs])
    assert (matches > 0).all() and (kept < GALLERY).any()
    histograms = similarity_histograms(*data, rule=rule)
    assert histograms.true.sum() == matches.sum()
    assert histograms.false.sum() == (kept - matches).sum()
    chance = chance_level(query_labels, gallery_labels, rule, (1,))
    assert chance["rank1"] == pytest.approx(np.mean(matches / kept))


@pytest.mark.parametrize("missing", [None, "camera", "clothes"])
def test_protocols_of_a_new_rule_need_its_labels(rule, missing):
    protocol = Protocol("same_view", "query", "gallery", rule)
    labels = {"pid": [1, 2], "camera": [0, 1], "clothes": [0, 0]}
    if missing:
        labels[missing] = [-1, -1]
    query = Split(*map(np.array, labels.values()), ("a", "b"), np.arange(2), None)
    usable, notes = usable_protocols((protocol,), {"query": query, "gallery": query})
    if missing:
        assert [p.rule for p in usable] == ["any"]
        assert notes[0] == f"same-view is left out: no {missing} labels"
    else:
        assert usable == (protocol,)
        assert notes[0].startswith("same-view: 2 of 2 queries have no true match")


def test_an_unknown_rule_is_rejected_everywhere(rule, data):
    _, query_labels, _, gallery_labels = data
    known = r"rule 'strict' is unknown; choose from \['any', .*'general', 'junk_out', "
    for function in (retrieval_metrics, ranked_lists, similarity_histograms):
        with pytest.raises(ValueError, match=known):
            function(*data, rule="strict")
    with pytest.raises(ValueError, match=known + ".*'same_view'"):
        chance_level(query_labels, gallery_labels, "strict", (1,))
    protocol = Protocol("strict", "query", "gallery", "strict")
    split = Split(*query_labels[:3], ("x",) * QUERIES, np.arange(QUERIES), None)
    with pytest.raises(ValueError, match=known):
        usable_protocols((protocol,), {"query": split, "gallery": split})


@pytest.mark.parametrize(
    ("junk", "got"),
    [
        (lambda same: same.camera * 1, r"int64 \[3\]"),
        (lambda same: False, r"bool \[\]"),
    ],
)
def test_a_rule_must_return_a_bool_array(junk, got, monkeypatch):
    monkeypatch.setitem(RULES, "toy", Rule(junk, frozenset()))
    query, gallery = (Labels(*np.ones((3, n), int)) for n in (1, 3))
    message = rf"junk of rule 'toy' must return a bool array \[3\], got {got}"
    with pytest.raises(ValueError, match=message):
        chance_level(query, gallery, "toy", (1,))
