"""A run's `eval/metrics.json`, read back and checked."""

import math
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax import schema
from mbnet_jax.json_files import read_json
from mbnet_jax.runs import calibration_file

METRICS = "metrics.json"
_REMEDY = "evaluate the run again, or delete it"
_NAME = schema.text(None, 1, 200)
_VALUE = schema.real(None, high=1.0)
_FIELDS = {
    "name": schema.optional(schema.text(None)),
    "step": schema.whole(None),
    # What it is about: for people, and by a digest of fields, for `mbnet-across`.
    "trained_on": schema.optional(schema.text(None)),
    "dataset": schema.optional(schema.text(None)),
    "settings": schema.optional(schema.text(None)),
    "verification": schema.optional(schema.mapping()),
    # The folder that the names in `queries.csv` and `nearest.csv` are relative to.
    "images": schema.optional(schema.text(None)),
    "results": schema.mapping(),
    "protocols": schema.mapping(),
}
_PROTOCOL = {
    "name": _NAME,
    "query": _NAME,
    "gallery": _NAME,
    "rule": _NAME,
    "cameras": schema.several(None, schema.whole(None)),
    "draws": schema.whole(None, high=10_000),
    "paper": schema.optional(schema.mapping()),
    "ranked": schema.optional(_NAME),  # "images" or "tracklets"
    "queries": schema.whole(None),
    "queries_with_a_match": schema.optional(schema.whole(None)),
}

_SIMILARITY = schema.optional(schema.real(None, -2.0, 2.0))
_POINT = {
    "threshold": _SIMILARITY,
    "false_accept": schema.optional(_VALUE),
    "true_accept": schema.optional(_VALUE),
}
_NUMBER = schema.whole(None, high=2**63)
_PAIRS = {
    "embedding": _NAME,
    "true_pairs": _NUMBER,
    "false_pairs": _NUMBER,
    "at_rates": schema.mapping(),
    "calibration": schema.optional(schema.mapping()),
    "at_threshold": schema.optional(schema.mapping()),
    "calibration_error": schema.optional(_VALUE),
}


def read_metrics(path: Path) -> dict:
    """Returns the content; a value without a number (null) is NaN.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: naming the file, what is wrong and the remedy.
    """
    content = read_json(path, _FIELDS, _REMEDY)
    pairs = content.get("verification", {})
    problem = next(_problems(content["results"], content["protocols"]), None)
    problem = problem or next(_problems_of_pairs(pairs), None)
    if problem:
        raise ValueError(f"{path} is damaged ({problem}); {_REMEDY}")
    results = {
        protocol: {
            embedding: {k: math.nan if v is None else v for k, v in values.items()}
            for embedding, values in embeddings.items()
        }
        for protocol, embeddings in content["results"].items()
    }
    return content | {"results": results}


def _problems_of_pairs(verification: dict) -> Iterator[str]:
    """What is wrong with the entry on pairs; its rates are those of all protocols."""
    rates = None
    for name, entry in verification.items():
        where = f"verification.{name}."
        entry = entry if isinstance(entry, dict) else {}
        entry = {k: v for k, v in entry.items() if v is not None}
        yield from schema.problems(entry, _PAIRS, where)
        points = {**entry["at_rates"], "threshold": entry.get("at_threshold", {})}
        for at, point in points.items():
            if not isinstance(point, dict):
                yield f"{where}{at} is no object"
                return
            known = {k: v for k, v in point.items() if v is not None}
            yield from schema.problems(known, _POINT, f"{where}{at}.")
        rates = [*entry["at_rates"]] if rates is None else rates
        if not rates or [*entry["at_rates"]] != rates:
            yield f"{where}at_rates are others"
        calibration = entry.get("calibration")
        if calibration is not None:
            yield from calibration_file.problems(calibration, f"{where}calibration.")
        if "at_threshold" in entry and (calibration or {}).get("threshold") is None:
            yield f"{where}at_threshold is of no threshold"


def _problems(results: dict, protocols: dict) -> Iterator[str]:
    """What is wrong with the results and the protocols that describe them."""
    if not results or results.keys() != protocols.keys():
        yield "results and protocols name different protocols, or none"
    rows = None
    for name, entry in protocols.items():
        entry = entry if isinstance(entry, dict) else {}
        entry = {k: v for k, v in entry.items() if v is not None}
        yield from schema.problems(entry, _PROTOCOL, f"protocols.{name}.")
        paper = entry.get("paper", {})
        yield from schema.problems(
            paper,
            dict.fromkeys(("rank1", "mAP"), _VALUE) if paper else {},
            f"protocols.{name}.paper.",
        )
        if entry["name"] != name:
            yield f"protocols.{name}.name is {entry['name']!r}"
        embeddings = results[name]
        if not isinstance(embeddings, dict) or not embeddings:
            yield f"results.{name} holds no embeddings"
        rows = [*embeddings] if rows is None else rows
        if rows != [*embeddings]:
            yield f"results.{name} is of other embeddings"
        measures = None
        for embedding, values in embeddings.items():
            where = f"results.{name}.{embedding}"
            if not isinstance(values, dict) or not values:
                yield f"{where} holds no values"
            measures = values.keys() if measures is None else measures
            if measures != values.keys():
                yield f"{where} is of other measures"
            for text in (name, embedding, *values):
                if not _NAME.accepts(text) or "`" in text:
                    yield f"{text[:60]!r} is not a name"
            for measure, value in values.items():
                if value is not None and not _VALUE.accepts(value):
                    yield f"{where}.{measure} must be {_VALUE.allowed()}"
