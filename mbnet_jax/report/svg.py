"""Figures as SVG inside a page: no request, no id twice, readable on dark paper."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.figure import Figure

_INK = "#010203"  # stands for the page's own colour of text
_SETTINGS = {
    "svg.fonttype": "none",  # text stays text, in the page's font
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
# Seen on white and on black, and told apart without colour by their dashes.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a7d00", "#7570b3")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
NEUTRAL = "#808080"


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches, drawn with the settings that `markup` counts on."""
    with matplotlib.rc_context(_SETTINGS):
        yield Figure(figsize=(width, height), layout="constrained")


def markup(drawn: Figure, name: str, label: str) -> str:
    """The figure as an `<svg>` element; inside `with figure(...)`.

    Args:
      name: begins every id in it; another for each figure of a page.
      label: what it shows, for who does not see it; plain text.
    """
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        drawn.savefig(
            stream,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    # Its style sheet would hold for the whole page, and HTML knows the namespaces.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(#|href="#)', rf"\1{name}-", text)
    text = text.replace(_INK, "currentColor")
    return text.replace("<svg", f'<svg role="img" aria-label="{_escaped(label)}"', 1)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
