"""Formats what `metrics.json` says of pairs: thresholds and shares, in per cent."""

from collections.abc import Mapping

from mbnet_jax.evaluation.table import title_of
from mbnet_jax.evaluation.verification import Verified, content_of
from mbnet_jax.runs.calibration_file import calibration_of

_BETWEEN = "  "


def pairs_text(verified: Mapping[str, Verified]) -> str:
    """Returns the table of pairs and what it means, as it is printed."""
    return described(content_of(verified))


def described(content: Mapping[str, dict]) -> str:
    """The same of what `metrics.json` says."""
    return "\n".join([format_pairs(content), "", *notes_of(content)])


def format_pairs(content: Mapping[str, dict]) -> str:
    """Returns the table below that of the rankings: one row per protocol.

    Args:
      content: of `verification.content_of`; at least one protocol.
    """
    head, rows = columns_of(content)
    titles = [name.replace("_", "-") for name in content]
    left = max(map(len, (*titles, "pairs")))
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(title: str, cells: list[str]) -> str:
        cells = [f"{c:>{w}}" for c, w in zip(cells, widths, strict=True)]
        return f"{title:<{left}} | {_BETWEEN.join(cells)}"

    lines = [line("pairs", head)]
    lines += ["-" * len(lines[0]), *map(line, titles, rows)]
    return "\n".join(lines)


def columns_of(content: Mapping[str, dict]) -> tuple[list[str], list[list[str]]]:
    """Returns the headings, and the cells of each protocol: shares in per cent."""
    first = next(iter(content.values()))
    head = [f"TPR at FPR {rate}" for rate in first["at_rates"]]
    has_threshold = first.get("at_threshold") is not None
    errors = [entry.get("calibration_error") for entry in content.values()]
    has_error = any(error is not None for error in errors)
    if has_threshold:
        threshold = first["calibration"]["threshold"]
        head += [f"TPR at {threshold:.4f}", "FPR"]
    head += ["ECE"] * has_error
    rows = []
    for entry in content.values():
        points = entry["at_rates"].values()
        cells = [_per_cent(point.get("true_accept")) for point in points]
        if has_threshold:
            at = entry.get("at_threshold") or {}
            cells.append(_per_cent(at.get("true_accept")))
            cells.append(_per_cent(at.get("false_accept"), 3))
        rows.append(cells + [_per_cent(entry.get("calibration_error"))] * has_error)
    return head, rows


def notes_of(content: Mapping[str, dict]) -> list[str]:
    """Returns what the table means, in words, for below it."""
    first = next(iter(content.values()))
    notes = [
        f"pairs, by {title_of(first['embedding'])}: TPR is the share of true pairs "
        "that a threshold accepts, FPR that of false pairs"
    ]
    if not first.get("calibration"):
        return [*notes, "no threshold and no probabilities: no people for validation"]
    calibration = calibration_of(first["calibration"])
    if calibration.threshold is None:
        notes.append(
            f"no threshold: the people for validation have {calibration.false:,} false "
            f"pairs, too few for a rate of {calibration.rate:g}"
        )
    else:
        notes.append(
            f"threshold {calibration.threshold:.4f}: the lowest that accepts at most "
            f"{calibration.rate:g} of the false pairs (eval.false_accept_rate) of "
            f"{calibration.origin}"
        )
    return [
        *notes,
        "ECE: mean difference between probabilities, which were fitted on the same "
        "people, and shares of true pairs here, true and false pairs weighing the same",
    ]


def _per_cent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}"
