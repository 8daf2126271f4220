"""Wrong arguments of the retrieval functions: each is named, with what it must be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from retrieval_calls import GALLERY, GALLERY_LABELS, QUERY, QUERY_LABELS, call
from scipy import sparse

from mbnet_jax.retrieval import (
    RULES,
    Labels,
    Rule,
    chance_level,
    ranked_lists,
    top_k,
)


class Broken:
    """Has no description, and makes no array."""

    def __array__(self, *_, **__):
        raise RuntimeError("I am none")

    def __repr__(self):
        raise RuntimeError("nor a text")


def deleted():
    array = jnp.ones((3, 4))
    array.delete()
    return array


MASKED = np.ma.masked_less(np.ones((3, 4)), 2)
REAL, ROWS = "query must hold real numbers", r"query must be \[rows, features\]"
FEATURES = [
    (None, f"{REAL}, got object"),
    ("text", REAL),
    ([["1", "2"]], REAL),
    ({"a": 1}, REAL),
    ([[1, 2], [3]], r"query must be an array, got \[\[1, 2\], \[3\]\]"),
    ([[10**30, 1, 1, 1]], REAL),
    (np.ones((3, 4), bool), f"{REAL}, got bool"),
    (np.ones((3, 4), complex), f"{REAL}, got complex128"),
    (np.ones((3, 4), "m8[s]"), REAL),
    (sparse.csr_array(np.ones((3, 4))), REAL),
    (jax.random.key(0), REAL),
    (MASKED, "query has masked entries"),
    (Broken(), "query must be an array, got a value of type Broken: I am none"),
    (deleted(), "query is a deleted jax.Array"),
    (np.float32(1), ROWS),
    (np.ones(4), ROWS),
    (np.ones((1, 3, 4)), ROWS),
    ([], ROWS),
    (np.ones((3, 0)), "not empty"),
    (np.broadcast_to(np.float32(1), (2**31, 4)), "at most 2,147,483,647 rows"),
    (np.broadcast_to(np.float32(1), (3, 2**21)), "1,048,576 features"),
    (np.full((3, 4), np.nan), "query row 0 .* length is nan"),
    (np.full((3, 4), 1e300), "query row 0 .* length is inf"),
    (np.full((3, 4), -np.inf), "query row 0 .* length is inf"),
    (np.zeros((3, 4), int), "query row 0 .* length is 0"),
]


@pytest.mark.parametrize(("query", "message"), FEATURES)
def test_features(query, message):
    with pytest.raises(ValueError, match=message):
        call("top_k", query=query)


@pytest.mark.parametrize("name", ["rerank", "metrics", "lists", "histograms"])
def test_every_function_checks_its_features(name):
    for wrong in (None, np.full_like(GALLERY, np.nan)):
        with pytest.raises(ValueError, match=r"gallery (must|row 0 )"):
            call(name, gallery=wrong)
    for alone in ("query", "gallery"):
        with pytest.raises(ValueError, match="differ in width"):
            call(name, **{alone: np.ones((6 if alone == "gallery" else 3, 5))})


def test_histograms_check_features_of_queries_without_a_match():
    labels = QUERY_LABELS._replace(pid=np.array([7, 8, 9]))
    broken = {side: np.full_like(rows, np.nan) for side, rows in SIDES.items()}
    for side, rows in broken.items():
        with pytest.raises(ValueError, match=f"{side} row 0"):
            call("histograms", query_labels=labels, **{side: rows})


SIDES = {"query": QUERY, "gallery": GALLERY}


def test_traced_features():
    with pytest.raises(ValueError, match=r"query is traced.* outside of jax\.jit"):
        jax.jit(lambda query: top_k(query, GALLERY, 1))(QUERY)


@pytest.mark.parametrize(
    "convert",
    [
        np.ndarray.tolist,
        jnp.asarray,
        np.asfortranarray,
        lambda rows: rows.astype(">f4"),
        lambda rows: rows.astype(np.longdouble),
        lambda rows: np.repeat(rows, 2, axis=0)[::2],
        lambda rows: np.ma.masked_invalid(rows),
        lambda rows: jnp.asarray(rows).astype(jnp.bfloat16),
        lambda rows: rows.astype(np.float16),
    ],
)
def test_other_forms_of_the_same_features(convert):
    query, gallery = convert(QUERY), convert(GALLERY)
    if "16" in str(getattr(query, "dtype", "")):
        plain = np.asarray(query, np.float32), np.asarray(gallery, np.float32)
    else:
        plain = QUERY, GALLERY
    for found, expected in zip(top_k(query, gallery, 6), top_k(*plain, 6), strict=True):
        np.testing.assert_array_equal(found, expected)


INTEGER = r"must be an integer array \[n\]"
LABELS = [
    (None, r"must be Labels\(pid, camera, clothes\), got None"),
    (tuple(QUERY_LABELS), "must be Labels"),
    (np.ones((3, 3), int), r"must be Labels.*, got int64 \[3, 3\]"),
    ("labels", "must be Labels"),
    (QUERY_LABELS._replace(pid=None), f"pid {INTEGER}"),
    (QUERY_LABELS._replace(pid=[1.0, 2.0, 3.0]), f"pid {INTEGER}, got float64"),
    (QUERY_LABELS._replace(camera=[True] * 3), f"camera {INTEGER}, got bool"),
    (QUERY_LABELS._replace(clothes=["1"] * 3), f"clothes {INTEGER}, got <U1"),
    (QUERY_LABELS._replace(pid=[10**30, 1, 1]), f"pid {INTEGER}, got object"),
    (
        QUERY_LABELS._replace(pid=np.uint64([2**64 - 1, 1, 1])),
        "pid holds 18446.*beyond int64",
    ),
    (QUERY_LABELS._replace(pid=np.ones(3, "m8[s]")), f"pid {INTEGER}, got timedelta"),
    (QUERY_LABELS._replace(pid=[[1, 2, 3]]), rf"pid {INTEGER}, got int64 \[1, 3\]"),
    (QUERY_LABELS._replace(pid=[[1], [2, 3]]), "pid must be an array, got"),
    (QUERY_LABELS._replace(pid=5), f"pid {INTEGER}"),
    (QUERY_LABELS._replace(clothes=np.ma.masked_equal([1, 2, 2], 1)), "masked"),
    (QUERY_LABELS._replace(camera=[1, 2]), "camera has 2 entries for 3"),
]


@pytest.mark.parametrize(("labels", "message"), LABELS)
def test_labels(labels, message):
    for name in ("metrics", "lists", "histograms"):
        with pytest.raises(ValueError, match=f"query_labels.*{message}"):
            call(name, query_labels=labels)
    with pytest.raises(ValueError, match=f"query.*{message}"):
        chance_level(labels, GALLERY_LABELS, "general", (1,))


def test_chance_level_of_no_images():
    empty = Labels(*[np.zeros(0, int)] * 3)
    with pytest.raises(ValueError, match=r"query\.pid is empty"):
        chance_level(empty, GALLERY_LABELS, "general", (1,))
    with pytest.raises(ValueError, match=r"gallery\.pid is empty"):
        chance_level(QUERY_LABELS, empty, "general", (1,))


@pytest.mark.parametrize(
    ("query", "gallery"),
    [
        # As float64, to which int64 and uint64 are compared, both would be the same.
        ([2**62 + 1], np.array([2**62, 2**62 + 1], np.uint64)),
        ([10**12], [10**12 - 2**32, 10**12]),  # as int32, both would be the same
        ([-1], [255, -1]),
        (np.array([7], ">i2"), np.array([7 << 8, 7], "<i4")),
    ],
)
def test_labels_of_any_size_are_exact(query, gallery):
    found = ranked_lists(
        np.ones((1, 2)),
        Labels(query, [0], [0]),
        np.ones((2, 2)),
        Labels(gallery, [1, 1], [0, 0]),
        k=2,
    )
    assert found.correct.tolist() == [[False, True]]


@pytest.mark.parametrize("rule", [None, 5, ["general"], b"general", RULES["general"]])
def test_rules_that_are_no_name(rule):
    for name in ("metrics", "lists", "histograms"):
        with pytest.raises(ValueError, match=r"rule .* is unknown; choose from"):
            call(name, rule=rule)


def fails(same):
    raise KeyError("mine")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda a, b: a, r"RULES\['mine'\] must be Rule"),
        (Rule(None, frozenset()), r"RULES\['mine'\] must be Rule"),
        (Rule(fails, frozenset()), "junk of rule 'mine' failed: KeyError: 'mine'"),
        (Rule(lambda a, b: a, frozenset()), "junk of rule 'mine' failed: TypeError"),
        (Rule(lambda same: None, frozenset()), "must return a bool array .* object"),
        (Rule(lambda same: [[1], []], frozenset()), "junk of rule 'mine' returns must"),
        (
            Rule(lambda same: same.camera, "camera"),
            "needs of rule 'mine' must be a set",
        ),
        (
            Rule(lambda same: same.camera, {"view"}),
            r"any of \['camera', 'clothes', 'tracklet'\], got",
        ),
    ],
)
def test_rules_of_ones_own(rule, message, monkeypatch):
    monkeypatch.setitem(RULES, "mine", rule)
    with pytest.raises(ValueError, match=message):
        chance_level(QUERY_LABELS, GALLERY_LABELS, "mine", (1,))
