"""The values of protocols: draws, re-ranking, and the file of all queries."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest
import rerank_reference
from embedded import GOOD, angles, split

from mbnet_jax.data import DATASETS
from mbnet_jax.evaluation.embed import Embedded, check_embeddings
from mbnet_jax.evaluation.protocols import (
    draw_gallery,
    usable_protocols,
)
from mbnet_jax.evaluation.results import (
    evaluate_protocol,
    metrics_content,
    queries_csv,
    values_of,
)
from mbnet_jax.evaluation.table import format_table
from mbnet_jax.retrieval import Labels, retrieval_metrics

RANKS = (1, 5, 10)


def test_a_draw_has_one_image_per_person_and_is_a_function_of_the_seed():
    pid = np.array([7, 3, 3, 7, 9, 7, 3])
    draws = [draw_gallery(pid, seed=1, draw=d) for d in range(200)]
    for draw in draws:
        assert sorted(pid[draw]) == [3, 7, 9]
        assert draw.tolist() == sorted(draw)
    # Every image of a person is drawn about equally often.
    counts = np.bincount(np.concatenate(draws), minlength=7)
    assert counts[4] == 200 and all(40 < c < 95 for c in np.delete(counts, 4))
    np.testing.assert_array_equal(draws[5], draw_gallery(pid, seed=1, draw=5))
    other = [draw_gallery(pid, seed=2, draw=d) for d in range(200)]
    assert any((a != b).any() for a, b in zip(draws, other, strict=True))


@pytest.fixture
def two_shots():
    """Person 1's images in the gallery: one near the query, one far away."""
    return {
        "query_changing": Embedded(split([1], [2], [5]), angles([0])),
        "gallery": Embedded(
            split([1, 1, 2], [0, 0, 0], [4, 4, 6]), angles([5, 80, 30])
        ),
    }


def test_a_split_without_embeddings_is_named(two_shots):
    with pytest.raises(ValueError, match="'mine': query='query' must be one of"):
        evaluate_protocol(two_shots, GOOD, RANKS, seed=0)


def test_single_shot_is_the_mean_and_std_over_draws(two_shots):
    protocol = DATASETS["prcc"].protocols[3]
    result = evaluate_protocol(two_shots, protocol, RANKS, seed=0)
    hits = []
    for draw in range(10):
        kept = draw_gallery(two_shots["gallery"].split.pid, 0, draw)
        hits.append(0 in kept)  # the near one was drawn: rank 1, else rank 2
    assert 0 < sum(hits) < 10
    share = np.mean(hits)
    values = result.values["all"]
    assert values["rank1"] == pytest.approx(share)
    assert values["mAP"] == pytest.approx(share + (1 - share) / 2)
    assert values["rank1_std"] == pytest.approx(np.sqrt(share * (1 - share)))
    assert result.values["chance"]["rank1"] == 0.5
    assert result.values["chance"]["rank1_std"] == 0
    multi = evaluate_protocol(two_shots, DATASETS["prcc"].protocols[2], RANKS, seed=0)
    assert multi.values["all"]["mAP"] == pytest.approx((1 + 2 / 3) / 2)
    assert "mAP_std" not in multi.values["all"]


def test_re_ranked_values_are_of_each_drawn_gallery():
    rng = np.random.default_rng(0)
    people = np.arange(8)
    pid = np.repeat(people, 3)
    centre = rng.standard_normal((8, 4))
    rows = {
        "query_changing": centre + 0.4 * rng.standard_normal((8, 4)),
        "gallery": centre[pid] + 0.4 * rng.standard_normal((24, 4)),
    }
    embedded = {
        name: Embedded(
            split(of, np.full(len(of), camera), np.zeros(len(of))),
            {"all": rows[name].astype(np.float32)},
        )
        for name, of, camera in (("query_changing", people, 2), ("gallery", pid, 0))
    }
    for protocol in DATASETS["prcc"].protocols[2:]:
        result = evaluate_protocol(embedded, protocol, RANKS, seed=0, reranked=True)
        assert list(result.values) == ["all", "all_reranked", "chance"]
        hits = []
        for draw in range(max(protocol.draws, 1)):
            kept = draw_gallery(pid, 0, draw) if protocol.draws else np.arange(24)
            distance = rerank_reference.rerank(
                rows["query_changing"],
                rows["gallery"][kept],
                k1=min(20, 8 + len(kept) - 1),  # of few images, all the others
            )
            hits.append(np.mean(pid[kept][np.argmin(distance, axis=1)] == people))
        values = result.values["all_reranked"]
        assert values["rank1"] == pytest.approx(np.mean(hits))
        assert values.get("rank1_std", 0) == pytest.approx(np.std(hits))
        # What stands for the run, as in queries.csv, is not re-ranked.
        plain = [metrics.cmc[1] for metrics in result.per_draw]
        assert result.values["all"]["rank1"] == pytest.approx(np.mean(plain))
        assert result.values["all"]["rank1"] != values["rank1"]


def test_queries_csv_has_every_query_of_every_draw(two_shots):
    two_shots["query_changing"] = Embedded(
        split([1, 8], [2, 2], [5, 7], "q"), angles([0, 0])
    )
    results = {
        p.name: evaluate_protocol(two_shots, p, RANKS, seed=0)
        for p in DATASETS["prcc"].protocols[2:]
    }
    rows = list(csv.DictReader(io.StringIO(queries_csv(results))))
    assert len(rows) == 2 + 10 * 2
    assert rows[0] == {
        "protocol": "clothes_changing_multi_shot",
        "draw": "0",
        "file": "q/0.jpg",
        "person": "1",
        "first_match_rank": "1",
        "average_precision": "0.833333",
    }
    # Person 8 is not in the gallery.
    assert (rows[1]["person"], rows[1]["first_match_rank"]) == ("8", "")
    assert [r["draw"] for r in rows[2::2]] == [str(d) for d in range(10)]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_embeddings_that_cannot_be_compared_are_named(value):
    embeddings = {"global": angles([0, 10, 20])["all"], "all": angles([0, 1, 2])["all"]}
    images = split([1, 2, 3], [0, 0, 0], [0, 0, 0], "q")
    check_embeddings("test split 'query'", images, embeddings)
    embeddings["all"][1:] = value
    message = (
        "test split 'query': the embedding 'all' of 2 of 3 images is NaN, infinite or "
        r"zero, first of 'q/1\.jpg'; the weights are damaged"
    )
    with pytest.raises(ValueError, match=message):
        check_embeddings("test split 'query'", images, embeddings)


def test_a_protocol_without_a_match_has_no_scores():
    test = {"query": split([1], [0], [0]), "gallery": split([2], [1], [1])}
    _, notes = usable_protocols((GOOD,), test)
    assert notes == [
        "mine: 1 of 1 queries have no true match in the gallery and are left out of "
        "the means, so it has no scores"
    ]
    embedded = {name: Embedded(images, angles([0])) for name, images in test.items()}
    results = {"mine": evaluate_protocol(embedded, GOOD, RANKS, seed=0)}
    content = metrics_content("name", 1, [GOOD], results, notes)
    stored = json.loads(json.dumps(content, allow_nan=False))["results"]
    assert stored["mine"]["all"]["mAP"] is None
    for values in ({"mine": results["mine"].values}, stored):
        assert format_table(values, [GOOD]).splitlines()[-1].split()[2:] == ["-"] * 5


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=cmd|' /C calc'!A0", "./=cmd|' /C calc'!A0"),
        ("+1.jpg", "./+1.jpg"),
        ("-1.jpg", "./-1.jpg"),
        ("@a.jpg", "./@a.jpg"),
        ("\t=1.jpg", "./\t=1.jpg"),
        ('a/=1,"\n.jpg', 'a/=1,"\n.jpg'),
        ("a/\udcff\ud800.jpg", "a/\ufffd\ufffd.jpg"),
    ],
)
def test_no_file_name_is_a_formula_or_cannot_be_encoded(name, cell, two_shots):
    query = two_shots["query_changing"]
    images = dataclasses.replace(query.split, names=(name,))
    two_shots["query_changing"] = dataclasses.replace(query, split=images)
    protocol = DATASETS["prcc"].protocols[2]
    text = queries_csv({"x": evaluate_protocol(two_shots, protocol, RANKS, seed=0)})
    text.encode()
    ((row),) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["file"] == cell


def test_the_rule_any_removes_nothing():
    labels = Labels(*(np.array(v) for v in ([1], [-1], [-1])))
    gallery = Labels(*(np.array(v) for v in ([1, 2], [-1, -1], [-1, -1])))
    metrics = retrieval_metrics(
        angles([0])["all"], labels, angles([9, 5])["all"], gallery, rule="any"
    )
    assert metrics.first_match_rank.tolist() == [2] and values_of(metrics)["mAP"] == 0.5
