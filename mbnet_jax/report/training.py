"""What a run logged while it was trained, from its `metrics.jsonl`."""

import json
import math
from pathlib import Path

from mbnet_jax.models import BRANCHES

FILE = "metrics.jsonl"
# Scalar -> its steps and values.
Series = dict[str, tuple[list[int], list[float]]]


def logged(workdir: Path) -> Series:
    """Each scalar's steps and values; empty where the run left no log.

    A line that is not whole, as a kill may leave it, and values that are not finite
    are passed over.
    """
    series: Series = {}
    path = workdir / FILE
    if not path.is_file():
        return series
    for line in path.read_text().splitlines():
        try:
            values = dict(json.loads(line))
            step = int(values.pop("step"))
        except (ValueError, TypeError, KeyError):
            continue
        for name, value in values.items():
            if isinstance(value, int | float) and math.isfinite(value):
                steps, found = series.setdefault(name, ([], []))
                steps.append(step)
                found.append(float(value))
    return series


def charts(series: Series) -> dict[str, Series]:
    """The scalars as they are drawn together: title -> lines.

    Those of one family ("triplet/mask") share a chart; so do the losses of single
    modules. Bad steps are shown if there were any.
    """
    titles = {
        "loss": "loss",
        "learning_rate": "learning rate",
        "bad_steps": "bad steps",
    }
    drawn: dict[str, Series] = {title: {} for title in ("loss", "learning rate")}
    for name, line in series.items():
        if name == "bad_steps" and not any(line[1]):
            continue
        family, _, member = name.rpartition("/")
        title = family or titles.get(name, "modules' losses")
        drawn.setdefault(title, {})[member] = line
    return {
        title: dict(sorted(lines.items(), key=lambda line: _place(line[0])))
        for title, lines in drawn.items()
        if lines
    }


def _place(member: str) -> int:
    """Branches come in their order, so that each has its colour."""
    return BRANCHES.index(member) if member in BRANCHES else len(BRANCHES)
