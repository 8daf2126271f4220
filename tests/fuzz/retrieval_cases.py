"""Arrays and options of the functions of `mbnet_jax.retrieval`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax import retrieval
from mbnet_jax.retrieval import Labels

from . import mutate
from .case import Case, surface
from .choices import Choices

QUERIES, GALLERY, WIDTH = 3, 8, 4


@functools.cache
def sound() -> dict:
    """Arguments that every function takes."""
    rng = np.random.default_rng(0)

    def labels(count: int) -> Labels:
        pid, camera = np.arange(count) % 2, np.arange(count) % 3
        return Labels(pid, camera, pid * 2 + (camera > 0), np.arange(count) % 4)

    return {
        "query": rng.normal(size=(QUERIES, WIDTH)).astype(np.float32),
        "query_labels": labels(QUERIES),
        "gallery": rng.normal(size=(GALLERY, WIDTH)).astype(np.float32),
        "gallery_labels": labels(GALLERY),
    }


FEATURES, LABELS = ("query", "gallery"), ("query_labels", "gallery_labels")
# Function -> its required arguments, and a sound value of each other one.
FUNCTIONS = {
    "retrieval_metrics": (
        (*FEATURES, *LABELS),
        {"rule": "any", "ranks": (1, 5), "metric": "euclidean", "dtype": "float32",
         "block_rows": (None, None), "mesh": None, "reranking": None},
    ),
    "ranked_lists": (
        (*FEATURES, *LABELS),
        {"rule": "any", "k": 3, "metric": "cosine", "dtype": "float32", "mesh": None,
         "reranking": None},
    ),
    "top_k": (
        FEATURES,
        {"k": 3, "metric": "cosine", "dtype": "float32", "mesh": None,
         "reranking": None},
    ),
    "rerank": (
        FEATURES,
        {"k1": 3, "k2": 2, "lambda_value": 0.3, "metric": "cosine", "mesh": None},
    ),
    "similarity_histograms": ((*FEATURES, *LABELS), {"rule": "any", "mesh": None}),
    "verification": (
        (*FEATURES, *LABELS),
        {"rule": "any", "rates": (0.5, 0.1), "thresholds": (0.0,), "least": 1,
         "mesh": None},
    ),
    "chance_level": (LABELS, {"rule": "any", "ranks": (1, 5)}),
}  # fmt: skip


def called(name: str, values: dict):
    """Calls a function by its arguments' names."""
    if name == "chance_level":
        values = {key.removesuffix("_labels"): each for key, each in values.items()}
    return getattr(retrieval, name)(**values)


@functools.cache
def expected(name: str):
    """What the sound arguments give."""
    required, options = FUNCTIONS[name]
    return called(name, {key: sound()[key] for key in required} | _extra(options))


def _extra(options: dict) -> dict:
    """The options that sound calls give too."""
    return {key: options[key] for key in ("rule", "k", "ranks") if key in options} | {
        key: options[key] for key in ("k1", "k2") if key in options
    }


def prepare() -> None:
    """Compiles what the sound arguments need."""
    for name, (required, options) in FUNCTIONS.items():
        called(name, {key: sound()[key] for key in required} | options)
        expected(name)


def odd_array(c: Choices, array: np.ndarray):
    """Another array: what was done, it, whether it must be refused, or is equal."""
    kinds = {
        "nan": (_with(array.astype(np.float64), np.nan), False),
        "inf": (_with(array.astype(np.float64), np.inf), False),
        "huge": (_with(array.astype(np.float64), 1e300), None),
        "zero row": (np.where(np.arange(len(array))[:, None] == 1, 0, array), None),
        "1-d": (array[0], False),
        "3-d": (array[None], False),
        "0-d": (np.float32(1), False),
        "empty": (array[:0], False),
        "no width": (array[:, :0], False),
        "wider": (np.hstack([array, array]), False),
        "bool": (array > 0, None),
        "complex": (array * 1j, False),
        "text": (array.astype(str), False),
        "object": (array.astype(object), None),
        "list": (array.tolist(), None),
        "ragged": ([[1.0, 2.0], [3.0]], False),
        "dates": (np.zeros(array.shape, "M8[s]"), False),
        "record": (np.zeros(array.shape, [("a", "f4")]), False),
        "None": (None, False),
        "dict": ({"a": 1}, False),
        "int": (7, False),
        "str": ("features.npy", False),
        "set": ({1, 2}, False),
        "jax": (jnp.asarray(array), True),
        "float64": (array.astype(np.float64), True),
        "reversed": (array[::-1][::-1], True),
        "fortran": (np.asfortranarray(array), True),
        "big endian": (array.astype(">f4"), True),
        "read only": (_read_only(array), True),
        "masked": (np.ma.masked_array(array, array > 1), None),
        "key": (jax.random.key(0), False),
    }
    kind = c.pick([*kinds])
    return (kind, *kinds[kind])


def _with(array: np.ndarray, entry: float) -> np.ndarray:
    array[1, 2] = entry
    return array


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def odd_labels(c: Choices, labels: Labels):
    """Other labels: what was done, they, whether they must be refused, or are equal."""
    field = c.pick(Labels._fields)
    kinds = {
        "float": (getattr(labels, field) + 0.5, False),
        "whole floats": (getattr(labels, field).astype(float), False),
        "text": (getattr(labels, field).astype(str), False),
        "short": (getattr(labels, field)[1:], False),
        "2-d": (getattr(labels, field)[:, None], False),
        "None": (None, False),
        "int": (3, False),
        "bool": (getattr(labels, field) > 0, False),
        "object": (getattr(labels, field).astype(object), None),
        "list": (getattr(labels, field).tolist(), True),
        "int8": (getattr(labels, field).astype(np.int8), True),
        "uint64": (getattr(labels, field).astype(np.uint64), True),
        "jax": (jnp.asarray(getattr(labels, field)), True),
        "negative": (getattr(labels, field) - 9, None),
        "huge": (getattr(labels, field) + 2**62, None),
        "ragged": ([[1], [2, 3]], False),
        "dict": ({}, False),
        "nan": (np.full(len(labels.pid), np.nan), False),
    }
    kind = c.pick([*kinds])
    new, valid = kinds[kind]
    return f"{field} {kind}", labels._replace(**{field: new}), valid


WHOLE = (None, 5, "labels", (), (1, 2), [1, 2, 3], {"pid": 1}, np.zeros((3, 3)), {1, 2})
RULES = (None, 3, "", "no rule", ["any"], {}, b"any", np.array(["any"]), "Any", True)
OPTIONS = {
    "rule": RULES,
    "metric": (*RULES, "dot"),
    "dtype": (*RULES, "float64", np.float32, jnp.bfloat16),
    "mesh": ("cpu", 3, [], {}, (None,)),
    "reranking": ("x", 3, [], {}, True, np.zeros((3, 8))),
    "ranks": (
        None, 3, "1", (), (0,), (-1, 1), (1.5,), ("1",), (None,), (True,), [[1]],
        {1: 2}, (10**30,), (float("nan"),), np.array([[1]]), np.array([0.5]), b"ab",
    ),
    "block_rows": (
        None, 3, (1,), (1, 2, 3), ("a", 1), (0, 1), (-1, None), (1.5, 2), (None, "x"),
        (True, 1), (float("nan"), 1), {}, "ab",
    ),
}  # fmt: skip
COUNTS = (None, 0, -1, 1.5, "3", True, 10**30, float("nan"), [3], (3,), {}, 9**9, "")
NOT_INVALID = ({1: 2}, (10**30,))  # ranks beyond the gallery are allowed


@surface("retrieval", share=60, seconds=30)
def arrays(c: Choices, folder) -> Case:
    """One argument of a function is odd."""
    name = c.pick([*FUNCTIONS])
    required, options = FUNCTIONS[name]
    values = {key: sound()[key] for key in required}
    argument = c.pick([*required, *required, *options])
    tokens, valid = [argument], None
    if argument in FEATURES:
        what, new, valid = odd_array(c, sound()[argument])
        tokens += ["features", "query and gallery"] if what == "wider" else []
    elif argument in LABELS and c.once_in(4):
        new = c.pick(WHOLE)
        what, valid = mutate.shown(new), False
        tokens += [argument.removesuffix("_labels")] if name == "chance_level" else []
    elif argument in LABELS:
        what, new, valid = odd_labels(c, sound()[argument])
        tokens = [f"{argument}.{what.split()[0]}"]
        if name == "chance_level":
            short = argument.removesuffix("_labels")
            tokens = [f"{short}.{field}" for field in Labels._fields]
    elif argument in OPTIONS:
        new = c.pick(OPTIONS[argument])
        what = mutate.shown(new)
        valid = None if argument == "ranks" or new is None else False
        if argument == "dtype" and isinstance(
            new, type(np.float32) | type(jnp.bfloat16)
        ):
            valid = None  # types name themselves
    else:
        new = c.pick(COUNTS)
        what, valid = mutate.shown(new), None if argument == "lambda_value" else False
    values |= _extra(options)
    values[argument] = new

    def check(result) -> str | None:
        if valid is not True:
            return _finite(result)
        found, wanted = (
            jax.tree.leaves(_plain(result)),
            jax.tree.leaves(_plain(expected(name))),
        )
        same = all(
            np.allclose(a, b, atol=1e-5, equal_nan=True)
            for a, b in zip(found, wanted, strict=True)
        )
        return None if same else "another result"

    what = f"{name}: {argument} {what}"
    return Case(what, lambda: called(name, values), tuple(tokens), check, valid)


def _plain(result):
    """The arrays and numbers of a result."""
    if hasattr(result, "__dataclass_fields__"):
        result = {key: getattr(result, key) for key in result.__dataclass_fields__}
        result = {key: each for key, each in result.items() if key != "metric"}
    if hasattr(result, "toarray"):
        return result.toarray()
    if isinstance(result, dict):
        return {str(key): _plain(each) for key, each in result.items()}
    return result


def _finite(result) -> str | None:
    """Scores are in 0..1."""
    values = result if isinstance(result, dict) else getattr(result, "cmc", {})
    odd = [v for v in values.values() if not (np.isnan(v) or 0 <= v <= 1)]
    return f"scores {odd}" if odd else None
