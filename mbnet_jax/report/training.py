"""The training curves of a report, from a run's `metrics.jsonl`."""

import json
import math
from pathlib import Path

import numpy as np

from mbnet_jax import schema
from mbnet_jax.files import printable, read_bytes
from mbnet_jax.models import BRANCHES
from mbnet_jax.report import curves
from mbnet_jax.runs.checkpoint_files import MAX_STEP

Points = tuple[list[int], list[float]]  # steps and values
Series = dict[str, Points]  # of each scalar

# A run logs about twenty scalars, and a few thousand lines.
_MOST_BYTES, _MOST_NAMES, _MOST_POINTS = 256 << 20, 100, 2000
_LONGEST = 60  # characters of a name
_STEP = schema.whole(None, high=MAX_STEP)
_VALUE = schema.real(None, -3.4e38, 3.4e38)  # float32


def training_figures(metrics: Path) -> tuple[list[dict], list[str]]:
    """Returns the charts of the scalars in file `metrics`, each with its last values.

    The list is empty if the file is missing or empty. The second list says what of the
    file is left out.
    """
    figures = []
    series, notes = logged(metrics)
    for number, (title, lines) in enumerate(charts(series).items()):
        titled = {_title(name): line for name, line in lines.items()}
        last = [
            {"title": name, "step": steps[-1], "value": f"{values[-1]:.4g}"}
            for name, (steps, values) in titled.items()
        ]
        label = f"{title} by step; last: " + ", ".join(
            f"{row['title']} {row['value']}" for row in last
        )
        svg = curves.over_steps(
            f"training-{number}",
            {name: _thinned(line) for name, line in titled.items()},
            title,
            label,
            dots=title == "validation",
        )
        figures.append({"title": title, "svg": svg, "last": last})
    return figures, notes


def _title(name: str) -> str:
    return BRANCHES[name].title if name in BRANCHES else name.replace("_", " ")


def _thinned(line: Points) -> Points:
    """At most `_MOST_POINTS` of the points, the first and the last among them."""
    count = len(line[0])
    kept = np.linspace(0, count - 1, min(count, _MOST_POINTS)).round().astype(int)
    return tuple([part[index] for index in kept] for part in line)


def logged(metrics: Path) -> tuple[Series, list[str]]:
    """Reads each scalar's steps and values; empty if there is no file.

    Skips what a killed run or a damaged disk may leave, and values that are not finite.

    Returns:
      The scalars, and notes that say what is left out otherwise.
    """
    series: Series = {}
    if not metrics.is_file():
        return series, []
    try:
        text = read_bytes(metrics, _MOST_BYTES).decode(errors="replace")
    except (OSError, ValueError) as error:
        return series, [f"no training curves: {printable(str(error))}"]
    lines = text.split("\n")
    damaged, dropped = 0, set()
    for number, line in enumerate(lines, 1):
        step, scalars, whole = _parsed(line)
        # The last is empty, or cut off by a kill.
        damaged += not whole and number < len(lines)
        for name, value in scalars.items():
            name = printable(name[:_LONGEST])
            if name not in series and len(series) == _MOST_NAMES:
                dropped.add(name)
                continue
            steps, values = series.setdefault(name, ([], []))
            steps.append(step)
            values.append(value)
    notes = []
    if damaged:
        notes.append(
            f"{damaged} of {len(lines) - 1} lines of {metrics.name} are damaged"
        )
    if dropped:
        notes.append(f"{metrics.name} has more than {_MOST_NAMES} scalars")
    return series, notes


def _parsed(line: str) -> tuple[int, dict[str, float], bool]:
    """The step, the finite scalars, and whether the line is as training writes it."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):  # cut off, huge integers, deep nesting
        return 0, {}, False
    if not isinstance(content, dict) or not _STEP.accepts(content.get("step")):
        return 0, {}, False
    step = content.pop("step")
    known = {
        name: float(value) for name, value in content.items() if _VALUE.accepts(value)
    }
    # A loss that is not finite is no damage.
    rest = (value for name, value in content.items() if name not in known)
    whole = all(isinstance(v, float) and not math.isfinite(v) for v in rest)
    return step, known, whole


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
