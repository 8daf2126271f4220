"""The curves of a report, as SVG: CMC, similarities, and training scalars."""

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from mbnet_jax.retrieval.histograms import BINS, Histograms

_INK = "#010203"  # a placeholder, replaced by the page's own text colour
_SETTINGS = {
    "svg.fonttype": "none",  # text stays text, in the page's font
    "text.parse_math": False,  # a "$" in a name is a "$"
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 9,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
# Visible on white and on black. The dashes distinguish lines without colour.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a7d00", "#7570b3")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
NEUTRAL = "#808080"
_MOST_BARS = 50  # of a histogram

Points = tuple[Sequence[float], Sequence[float]]  # x, y


def cmc(name: str, lines: Mapping[str, Points], chance: Points, label: str) -> str:
    """Draws CMC curves: title -> ranks k and shares of queries, in 0..1.

    Args:
      name: of the figure; see `_markup`.
      lines: the curve of each embedding.
      chance: the curve of a random ranking.
      label: describes the figure in words.
    """
    with _figure(4.2, 2.7) as figure:
        axes = figure.add_subplot()
        _plot(axes, {t: (x, np.multiply(y, 100)) for t, (x, y) in lines.items()})
        axes.plot(
            chance[0], np.multiply(chance[1], 100), color=NEUTRAL, lw=1, label="chance"
        )
        axes.set(xlabel="rank k", ylabel="matched by rank k, %", ylim=(0, 102))
        axes.set_xlim(left=1)
        axes.grid(alpha=0.25)
        _legend_below(figure)
        return _markup(figure, name, label)


def extent(histograms: Iterable[Histograms]) -> tuple[int, int]:
    """Returns the first and the last bin that any of the histograms fills."""
    filled = np.flatnonzero(sum(h.true + h.false for h in histograms))
    return int(filled[0]), int(filled[-1])


def similarities(
    name: str, histograms: Histograms, bins: tuple[int, int], label: str
) -> str:
    """Draws the shares of true and of false pairs by similarity.

    Args:
      name: of the figure; see `_markup`.
      histograms: of the true and the false pairs.
      bins: the first and the last bin to draw.
      label: describes the figure in words.
    """
    first, last = bins[0], bins[1] + 1
    per_bar = -(-(last - first) // _MOST_BARS)  # bins
    starts = np.arange(first, last, per_bar)
    edges = -1 + 2 * np.append(starts, starts[-1] + per_bar) / BINS
    with _figure(3.1, 2.1) as figure:
        axes = figure.add_subplot()
        for counts, colour, hatch, title in (
            (histograms.false, COLOURS[1], None, "false pairs"),
            (histograms.true, COLOURS[0], "////", "true pairs"),
        ):
            shares = np.add.reduceat(counts, starts) / max(counts.sum(), 1)
            axes.stairs(
                100 * shares, edges, fill=True, alpha=0.45, color=colour, hatch=hatch
            )
            axes.stairs(100 * shares, edges, color=colour, lw=1.3, label=title)
        axes.set(xlabel="cosine similarity", ylabel="% of the pairs")
        axes.locator_params(axis="x", nbins=5)
        figure.legend(loc="outside upper center", ncols=2)
        return _markup(figure, name, label)


def roc(name: str, lines: Mapping[str, Points], least: float, label: str) -> str:
    """Draws shares of accepted true pairs by those of false pairs, in 0..1.

    Args:
      name: of the figure; see `_markup`.
      lines: title -> shares of false pairs, and of true pairs.
      least: the smallest share of false pairs to draw, on a logarithmic axis.
      label: describes the figure in words.
    """
    with _figure(4.2, 2.9) as figure:
        axes = figure.add_subplot()
        shown = {t: (np.maximum(x, least), 100 * y) for t, (x, y) in lines.items()}
        _plot(axes, shown, drawstyle="steps-post")
        even = np.geomspace(least, 1, 50)
        axes.plot(even, 100 * even, color=NEUTRAL, lw=1, label="chance")
        axes.set(xscale="log", xlim=(least, 1), ylim=(0, 102))
        axes.xaxis.set_major_formatter("{x:g}")  # not in TeX
        axes.xaxis.set_minor_formatter("")
        axes.set(xlabel="false pairs accepted (share)", ylabel="true pairs accepted, %")
        axes.grid(alpha=0.25)
        _legend_below(figure)
        return _markup(figure, name, label)


def reliability(name: str, lines: Mapping[str, Points], label: str) -> str:
    """Draws shares of true pairs by predicted probabilities, in 0..1.

    Args:
      name: of the figure; see `_markup`.
      lines: title -> probabilities, and shares; NaN where there are no pairs.
      label: describes the figure in words.
    """
    with _figure(4.2, 2.9) as figure:
        axes = figure.add_subplot(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        _plot(axes, lines, marker="o", markersize=4)
        axes.plot([0, 1], [0, 1], color=NEUTRAL, lw=1, label="calibrated")
        axes.set(xlabel="predicted probability", ylabel="share of true pairs")
        axes.grid(alpha=0.25)
        _legend_below(figure)
        return _markup(figure, name, label)


def over_steps(
    name: str,
    lines: Mapping[str, Points],
    ylabel: str,
    label: str,
    *,
    dots: bool = False,
) -> str:
    """Draws scalars by training step: title -> steps and values.

    Args:
      name: of the figure; see `_markup`.
      lines: the scalars.
      ylabel: of the axis.
      label: describes the figure in words.
      dots: whether to mark each value.
    """
    with _figure(4.2, 3.1) as figure:
        axes = figure.add_subplot()
        _plot(axes, lines, marker="o" if dots else None, markersize=4, lw=1.3)
        axes.set(xlabel="step", ylabel=ylabel)
        axes.grid(alpha=0.25)
        if len(lines) > 1:
            axes.legend(loc="best")
        return _markup(figure, name, label)


def _legend_below(figure: Figure) -> None:
    """Adds a legend below the axes, in up to 3 columns that fit; grows the figure."""
    for columns in (3, 2, 1):
        legend = figure.legend(loc="outside lower center", ncols=columns)
        extent = legend.get_window_extent()
        if columns == 1 or extent.width <= figure.bbox.width:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + extent.height / figure.dpi)


def _plot(axes, lines: Mapping[str, Points], **style) -> None:
    for number, (label, (x, y)) in enumerate(lines.items()):
        index = number % len(COLOURS)
        axes.plot(
            x, y, color=COLOURS[index], linestyle=DASHES[index], label=label, **style
        )


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    """A figure of this size in inches, with the settings that `_markup` expects."""
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # Matplotlib only measures the text; the browser has the characters.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield Figure(figsize=(width, height), layout="constrained")


def _markup(figure: Figure, name: str, label: str) -> str:
    """Returns the figure as an `<svg>` element that fetches nothing.

    Call it inside `with _figure(...)`.

    Args:
      figure: to be converted.
      name: prefix of every id in it; unique among the figures of a page.
      label: describes it for those who do not see it; plain text.
    """
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(
            stream,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    # A style sheet would apply to the whole page.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub("<[^>]+>", lambda found: _of_page(found.group(), name), text)
    return text.replace("<svg", f'<svg role="img" aria-label="{_escaped(label)}"', 1)


def _of_page(tag: str, name: str) -> str:
    """A tag of a figure as a tag of the page."""
    # HTML knows the namespaces.
    tag = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", tag).replace("xlink:href", "href")
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'(url\(#|href="#)', rf"\1{name}-", tag)
    # The page's content policy allows no style attributes.
    tag = re.sub(r'\sstyle="([^"]*)"', lambda found: _attributes(found[1]), tag)
    return tag.replace(_INK, "currentColor")


def _attributes(style: str) -> str:
    """The SVG attributes that do the same as a style."""
    # Older Matplotlib joins the size and the family of a font, which SVG does not.
    style = re.sub(r"\bfont: (\S+px) ", r"font-size: \1; font-family: ", style)
    pairs = (each.partition(":") for each in style.split(";") if each.strip())
    return "".join(
        f' {key.strip()}="{value.strip()}"'
        for key, _, value in pairs
        if key.strip() != "font-family"  # text is in the page's font
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
