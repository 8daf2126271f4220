"""The curves of a report: CMC, similarities, and what training logged."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mbnet_jax.report.svg import COLOURS, DASHES, NEUTRAL, figure, markup
from mbnet_jax.retrieval.histograms import BINS, Histograms

_BARS = 50  # of a histogram, most

Points = tuple[Sequence[float], Sequence[float]]


def _lines(axes, lines: Mapping[str, Points], **style) -> None:
    for number, (label, (x, y)) in enumerate(lines.items()):
        look = number % len(COLOURS)
        axes.plot(
            x, y, color=COLOURS[look], linestyle=DASHES[look], label=label, **style
        )


def cmc(name: str, lines: Mapping[str, Points], chance: Points, label: str) -> str:
    """Shares of queries, in 0..1, with a true match among the first k, by title."""
    with figure(4.2, 3.1) as drawn:
        axes = drawn.add_subplot()
        _lines(axes, {t: (x, np.multiply(y, 100)) for t, (x, y) in lines.items()})
        axes.plot(
            chance[0], np.multiply(chance[1], 100), color=NEUTRAL, lw=1, label="chance"
        )
        axes.set(xlabel="rank k", ylabel="matched by rank k, %", ylim=(0, 102))
        axes.set_xlim(left=1)
        axes.grid(alpha=0.25)
        drawn.legend(loc="outside lower center", ncols=3)
        return markup(drawn, name, label)


def extent(histograms: Iterable[Histograms]) -> tuple[int, int]:
    """The first bin that holds a pair in one of them, and the last one."""
    some = np.flatnonzero(sum(h.true + h.false for h in histograms))
    return int(some[0]), int(some[-1])


def similarities(
    name: str, histograms: Histograms, bins: tuple[int, int], label: str
) -> str:
    """Shares of true and of false pairs by similarity, from one bin to another."""
    first, last = bins[0], bins[1] + 1
    each = -(-(last - first) // _BARS)  # bins of a bar
    starts = np.arange(first, last, each)
    edges = -1 + 2 * np.append(starts, starts[-1] + each) / BINS
    with figure(3.1, 2.1) as drawn:
        axes = drawn.add_subplot()
        for counts, colour, hatch, of in (
            (histograms.false, COLOURS[1], None, "false pairs"),
            (histograms.true, COLOURS[0], "////", "true pairs"),
        ):
            shares = np.add.reduceat(counts, starts) / max(counts.sum(), 1)
            axes.stairs(
                100 * shares, edges, fill=True, alpha=0.45, color=colour, hatch=hatch
            )
            axes.stairs(100 * shares, edges, color=colour, lw=1.3, label=of)
        axes.set(xlabel="cosine similarity", ylabel="% of the pairs")
        axes.locator_params(axis="x", nbins=5)
        drawn.legend(loc="outside upper center", ncols=2)
        return markup(drawn, name, label)


def over_steps(
    name: str,
    lines: Mapping[str, Points],
    ylabel: str,
    label: str,
    *,
    dots: bool = False,
) -> str:
    """Values by training step."""
    with figure(4.2, 3.1) as drawn:
        axes = drawn.add_subplot()
        _lines(axes, lines, marker="o" if dots else None, markersize=4, lw=1.3)
        axes.set(xlabel="step", ylabel=ylabel)
        axes.grid(alpha=0.25)
        if len(lines) > 1:
            axes.legend(loc="best")
        return markup(drawn, name, label)
