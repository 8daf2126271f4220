"""Formats what `metrics.json` says of pairs: thresholds and shares, in per cent."""

from collections.abc import Mapping
from typing import NamedTuple

from mbnet_jax.evaluation.table import title_of
from mbnet_jax.evaluation.verification import Verified, content_of
from mbnet_jax.runs.calibration_file import calibration_of

_BETWEEN, _BEFORE_GROUP = "  ", " | "


class Group(NamedTuple):
    """Columns side by side: their title, headings, and the cells of each row."""

    title: str
    headings: list[str]
    rows: list[list[str]]


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
    titles = [name.replace("_", "-") for name in content]
    left = max(map(len, (*titles, "pairs")))
    lines = [" " * left, f"{'pairs':<{left}}", *(f"{t:<{left}}" for t in titles)]
    for group in groups_of(content):
        columns = [*zip(group.headings, *group.rows, strict=True)]
        widths = [max(map(len, column)) for column in columns]
        cells = [
            _BETWEEN.join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True))
            for row in (group.headings, *group.rows)
        ]
        inner = max(len(group.title), len(cells[0]))
        cells = [f"{group.title:^{inner}}", *(f"{cell:<{inner}}" for cell in cells)]
        lines = [a + _BEFORE_GROUP + b for a, b in zip(lines, cells, strict=True)]
    lines.insert(2, "-" * len(lines[1]))
    return "\n".join(line.rstrip() for line in lines)


def groups_of(content: Mapping[str, dict]) -> list[Group]:
    """Returns the columns: shares in per cent, one row for each protocol."""
    entries = [*content.values()]
    first = entries[0]
    points = [entry["at_rates"].values() for entry in entries]
    rates = [[_per_cent(point.get("true_accept")) for point in row] for row in points]
    groups = [Group("TPR at FPR", [*first["at_rates"]], rates)]
    if first.get("at_threshold"):
        threshold = first["calibration"]["threshold"]
        at = [entry.get("at_threshold") or {} for entry in entries]
        rows = [
            [_per_cent(a.get("true_accept")), _per_cent(a.get("false_accept"), 3)]
            for a in at
        ]
        groups.append(Group(f"at {threshold:.4f}", ["TPR", "FPR"], rows))
    errors = [entry.get("calibration_error") for entry in entries]
    if any(error is not None for error in errors):
        groups.append(Group("", ["ECE"], [[_per_cent(error)] for error in errors]))
    return groups


def notes_of(content: Mapping[str, dict]) -> list[str]:
    """Returns what the table means, a line each."""
    first = next(iter(content.values()))
    notes = [
        f"TPR, FPR: true and false pairs accepted, by {title_of(first['embedding'])}"
    ]
    if not first.get("calibration"):
        return [*notes, "no threshold, no probabilities: no validation persons"]
    calibration = calibration_of(first["calibration"])
    people = f"{calibration.people} validation persons of {calibration.dataset}"
    if calibration.threshold is None:
        notes.append(
            f"no threshold for FPR {calibration.rate:g}: too few false pairs among "
            f"{calibration.people} validation persons"
        )
    else:
        notes.append(
            f"{calibration.threshold:.4f}: FPR {calibration.rate:g} among {people}"
        )
    return [*notes, "ECE: error of the probabilities that are fitted on these people"]


def _per_cent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}"
