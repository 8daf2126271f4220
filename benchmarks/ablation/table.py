"""The table of an ablation, in Markdown, from the lines of its runs."""

import math
import statistics
from collections.abc import Callable, Sequence

from benchmarks.ablation.rows import Row
from mbnet_jax.evaluation.results import CHANCE, is_reranked

METRICS = {"rank1": "R1", "mAP": "mAP", "mINP": "mINP"}
COMPARED = "mAP"  # under the last protocol, the hardest


def markdown(rows: Sequence[Row], lines: Sequence[dict]) -> str:
    """Returns three tables: results, differences to the references, costs.

    Rows without a finished run are left out, and listed at the end.

    Raises:
      ValueError: if no run has finished, the runs are of several datasets, or a run
        does not have the embedding that its row evaluates.
    """
    runs = {
        row.name: found
        for row in rows
        if (found := [line for line in lines if line["row"] == row.source])
    }
    if not runs:
        raise ValueError("no row has a finished run; train some first")
    data = {line["fingerprint"] for found in runs.values() for line in found}
    if len(data) > 1:
        raise ValueError(
            f"the runs are of several datasets ({', '.join(sorted(data))}), which "
            "cannot be compared; give each its own --out"
        )
    finished = [row for row in rows if row.name in runs]
    missing = [row.name for row in rows if row.name not in runs]
    parts = [
        f"Dataset {lines[0]['dataset']}, fingerprint `{data.pop()}`. Per cent; mean ± "
        "sample standard deviation over seeds (none for a single seed).",
        _results(finished, runs),
        _differences(finished, runs),
        _costs(finished, runs),
    ]
    if missing:
        parts.append(f"Not run: {', '.join(missing)}.")
    return "\n\n".join(parts) + "\n"


def values_of(row: Row, line: dict, protocol: str) -> dict[str, float]:
    """Returns the metrics, in 0..1, of the embedding that a row evaluates.

    Raises:
      ValueError: if the run has no such embedding.
    """
    by_embedding = line["results"][protocol]
    own = [name for name in by_embedding if name != CHANCE and not is_reranked(name)]
    name = row.embedding or own[-1]
    if name not in own:
        raise ValueError(
            f"row {row.name}: the run {line['row']}, seed {line['seed']}, has no "
            f"embedding {name}, but {', '.join(own)}"
        )
    return by_embedding[name]


def pooled_std(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns the pooled std of two samples; None if one has less than two values."""
    freedom = len(first) + len(second) - 2
    if min(len(first), len(second)) < 2:
        return None
    squares = sum(
        (value - statistics.fmean(sample)) ** 2
        for sample in (first, second)
        for value in sample
    )
    return math.sqrt(squares / freedom)


def _results(rows: Sequence[Row], runs: dict[str, list[dict]]) -> str:
    protocols = list(runs[rows[0].name][0]["results"])
    head = [
        f"{protocol.replace('_', '-')} {title}"
        for protocol in protocols
        for title in METRICS.values()
    ]
    body = [
        [
            row.title,
            str(len(runs[row.name])),
            *(
                spread([values_of(row, x, protocol)[m] for x in runs[row.name]], 100)
                for protocol in protocols
                for m in METRICS
            ),
        ]
        for row in rows
    ]
    chance = runs[rows[0].name][0]["results"]
    body.append(
        [
            "chance",
            "",
            *(f"{100 * chance[p][CHANCE][m]:.1f}" for p in protocols for m in METRICS),
        ]
    )
    return markdown_table(["row", "seeds", *head], body)


def _differences(rows: Sequence[Row], runs: dict[str, list[dict]]) -> str:
    protocol = list(runs[rows[0].name][0]["results"])[-1]
    known = {row.name: row for row in rows}
    body = []
    for row in rows:
        if row.reference not in known:
            continue
        samples = [
            [100 * values_of(of, line, protocol)[COMPARED] for line in runs[of.name]]
            for of in (row, known[row.reference])
        ]
        gain = statistics.fmean(samples[0]) - statistics.fmean(samples[1])
        pooled = pooled_std(*samples)
        if pooled is None:
            exceeds = "one seed"
        else:
            exceeds = "yes" if abs(gain) > pooled else "no"
        body.append(
            [
                row.title,
                known[row.reference].title,
                f"{gain:+.1f}",
                "-" if pooled is None else f"{pooled:.1f}",
                exceeds,
            ]
        )
    title = f"{protocol.replace('_', '-')} {COMPARED}: difference"
    head = ["row", "against", title, "pooled std", "exceeds one"]
    return (
        markdown_table(head, body)
        if body
        else "No row and its reference have both finished."
    )


def _costs(rows: Sequence[Row], runs: dict[str, list[dict]]) -> str:
    def of(name: str, key: str, write: Callable[[Sequence[float]], str]) -> str:
        values = [line[key] for line in runs[name] if line[key] is not None]
        return write(values) if values else "-"

    body = [
        [
            row.title,
            of(row.name, "parameters", lambda v: f"{round(statistics.fmean(v)):,}"),
            of(row.name, "images_per_second", spread),
            of(row.name, "seconds", lambda v: f"{statistics.fmean(v):.0f}"),
        ]
        for row in rows
        if row.trained
    ]
    machines = {
        f"{x['device']}, {x['versions']}" for found in runs.values() for x in found
    }
    head = ["row", "parameters in training", "images/s in training", "seconds, total"]
    return markdown_table(head, body) + "\n\n" + "\n".join(sorted(machines))


def spread(values: Sequence[float], scale: float = 1, digits: int = 1) -> str:
    """Formats mean ± sample std (none for a single value), both times `scale`."""
    values = [scale * value for value in values]
    mean = f"{statistics.fmean(values):.{digits}f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {statistics.stdev(values):.{digits}f}"


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Formats a table in Markdown from its cells."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
