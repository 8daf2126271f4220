"""The training curves of a report, from a run's `metrics.jsonl`."""

import json
from pathlib import Path

from mbnet_jax.files import read_bytes
from mbnet_jax.models import BRANCHES
from mbnet_jax.report import curves
from mbnet_jax.runs.checkpoint_files import MAX_STEP

_MAX_BYTES = 2 << 30  # of metrics.jsonl: millions of lines
_LARGEST = 1e300  # that can be drawn

# Scalar -> its steps and values.
Series = dict[str, tuple[list[int], list[float]]]


def training_figures(metrics: Path) -> list[dict]:
    """Returns the charts of the scalars in file `metrics`, each with its last values.

    The list is empty if the file is missing or empty.
    """
    figures = []
    for number, (title, lines) in enumerate(charts(logged(metrics)).items()):
        titled = {_title(name): line for name, line in lines.items()}
        last = [
            {"title": name, "step": steps[-1], "value": f"{values[-1]:.4g}"}
            for name, (steps, values) in titled.items()
        ]
        label = f"{title} by step; last: " + ", ".join(
            f"{row['title']} {row['value']}" for row in last
        )
        svg = curves.over_steps(
            f"training-{number}", titled, title, label, dots=title == "validation"
        )
        figures.append({"title": title, "svg": svg, "last": last})
    return figures


def _title(name: str) -> str:
    return BRANCHES[name].title if name in BRANCHES else name.replace("_", " ")


def logged(metrics: Path) -> Series:
    """Reads each scalar's steps and values; empty if there is no file.

    Skips incomplete lines, which a killed run may leave, and values that are not
    finite.
    """
    series: Series = {}
    if not metrics.is_file():
        return series
    for line in read_bytes(metrics, _MAX_BYTES).decode(errors="replace").splitlines():
        try:
            scalars = dict(json.loads(line))
            step = scalars.pop("step")
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if type(step) is not int or not 0 <= step <= MAX_STEP:
            continue
        for name, value in scalars.items():
            if type(value) in (int, float) and abs(value) <= _LARGEST:  # nan is not
                steps, values = series.setdefault(name, ([], []))
                steps.append(step)
                values.append(float(value))
    return series


def charts(series: Series) -> dict[str, Series]:
    """Groups the scalars into charts: title -> lines.

    The members of a family ("triplet/mask") share a chart, and so do the losses of the
    modules. Bad steps are left out if there were none.
    """
    titles = {
        "loss": "loss",
        "learning_rate": "learning rate",
        "bad_steps": "bad steps",
    }
    grouped: dict[str, Series] = {title: {} for title in ("loss", "learning rate")}
    for name, line in series.items():
        if name == "bad_steps" and not any(line[1]):
            continue
        family, _, member = name.rpartition("/")
        title = family or titles.get(name, "modules' losses")
        grouped.setdefault(title, {})[member] = line
    return {
        title: dict(sorted(lines.items(), key=lambda line: _position(line[0])))
        for title, lines in grouped.items()
        if lines
    }


def _position(member: str) -> int:
    """Sorts branches as in the table, so that each keeps its colour."""
    order = [*BRANCHES]
    return order.index(member) if member in order else len(order)
