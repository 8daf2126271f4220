"""Wrong ranks and options of the retrieval functions are refused by name."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from jax.sharding import Mesh
from retrieval_calls import (
    GALLERY_LABELS,
    QUERY_LABELS,
    RERANKING,
    call,
)

from mbnet_jax.retrieval import (
    Labels,
    chance_level,
    retrieval_metrics,
)

NO_RANKS = [0, 5, None, "5", b"5", (), (0, 1), (-1,), (1.0,), (True,), ("1",), ([1],)]
NO_RANKS += [np.ones((1, 1), int), np.array(1), {1: 2}, itertools.count(1), (np.nan,)]


@pytest.mark.parametrize("ranks", NO_RANKS)
def test_ranks(ranks):
    with pytest.raises(ValueError, match=r"ranks must be whole numbers from 1, .* got"):
        call("metrics", ranks=ranks)
    with pytest.raises(ValueError, match=r"ranks must be whole numbers from 1, .* got"):
        chance_level(QUERY_LABELS, GALLERY_LABELS, "general", ranks)


def test_too_many_ranks():
    with pytest.raises(ValueError, match="ranks has more than 1,000,000 entries"):
        call("metrics", ranks=range(1, 10**30))


def test_ranks_in_any_order_and_of_any_size():
    # Person 1 of two: the second of two images is the match.
    labels = Labels([1], [0], [0]), Labels([2, 1], [1, 1], [0, 0])
    ranks = (10**30, 2, np.int8(1), 1)
    found = retrieval_metrics(
        np.ones((1, 2)), labels[0], np.ones((2, 2)), labels[1], ranks=ranks
    )
    assert found.cmc == {10**30: 1, 2: 1, 1: 0}
    expected = chance_level(*labels, "general", ranks)
    assert [expected[f"rank{k}"] for k in ranks] == [1, 1, 0.5, 0.5]


@pytest.mark.parametrize(
    "k",
    [0, 7, -1, True, 2.0, "2", None, (2,), np.nan, pytest.param(10**5000, id="huge")],
)
def test_k(k):
    for name in ("top_k", "lists"):
        with pytest.raises(ValueError, match=r"k must be .* from 1 to the 6 items"):
            call(name, k=k)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k1": True}, "k1 must be a whole number from 1 to the 8 .*, got True"),
        ({"k1": 9}, "k1 must be .*, got 9"),
        ({"k1": None}, "k1 must be .*, got None"),
        ({"k2": 2.0}, "k2 must be .* to the 9 .*, got 2.0"),
        ({"k2": "2"}, "k2 must be .*, got '2'"),
        ({"lambda_value": "0.3"}, "lambda_value must be .* 0 to 1, got '0.3'"),
        ({"lambda_value": np.nan}, "lambda_value must be .*, got nan"),
        ({"lambda_value": True}, "lambda_value must be .*, got True"),
        ({"lambda_value": 1j}, "lambda_value must be .*, got 1j"),
    ],
)
def test_options_of_rerank(changes, message):
    with pytest.raises(ValueError, match=message):
        call("rerank", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": None}, "metric None is unknown"),
        ({"metric": ["cosine"]}, r"metric \['cosine'\] is unknown"),
        ({"metric": np.ones(2)}, r"metric float64 \[2\] is unknown"),
        ({"dtype": None}, "dtype None is unknown"),
        ({"dtype": "float33"}, "dtype 'float33' is unknown"),
        ({"dtype": float}, "dtype <class 'float'> is unknown"),
        ({"mesh": jax.devices()}, "mesh must be a jax.sharding.Mesh"),
        ({"mesh": "cpu"}, "mesh must be .*, got 'cpu'"),
        ({"mesh": Mesh(np.array([], object), ("x",))}, "mesh must be"),
        ({"reranking": 5}, r"reranking must be what rerank\(\) returned"),
    ],
)
def test_other_options(changes, message):
    for name in ("top_k", "metrics", "lists"):
        with pytest.raises(ValueError, match=message):
            call(name, **changes)


@pytest.mark.parametrize(
    "rows", [5, None, (1,), (1, 2, 3), (True, 1), (1.5, None), "12", (-1, 1), [0, 0]]
)
def test_block_rows(rows):
    with pytest.raises(ValueError, match="block_rows must be two whole numbers"):
        call("metrics", block_rows=rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "euclidean"}, "metric='euclidean', not 'cosine'"),
        ({"lambda_value": 2}, "reranking.lambda_value must be"),
        ({"farthest": [1.0] * 3}, "reranking.farthest must be a float32 array"),
        ({"farthest": np.zeros(3, np.float32)}, "farthest must be finite and above 0"),
        ({"farthest": np.ones((3, 1), np.float32)}, r"shape \[3, 1\] instead of \[3\]"),
        ({"weights": np.ones((3, 9))}, "weights must be a float32 sparse.csr_array"),
        ({"weights": RERANKING.having}, r"weights has shape \[9, 6\] .* \[3, 9\]"),
        ({"having": RERANKING.weights}, "reranking.weights has shape"),
    ],
)
def test_a_reranking_that_does_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        call("top_k", reranking=dataclasses.replace(RERANKING, **changes))


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (None, r"queries must be indices int \[n\], got object"),
        ([0.0], "must be indices int"),
        ([[0]], "must be indices int"),
        ([True], "must be indices int"),
        ([0, 3], "queries must be from 0 to 2, got 0 to 3"),
        ([-1], "queries must be from 0 to 2, got -1 to -1"),
    ],
)
def test_overlaps_of_queries_that_there_are_not(queries, message):
    with pytest.raises(ValueError, match=message):
        RERANKING.overlap(queries)
