"""The page: its fields, and what happens when they are used."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mbnet_jax.demo import html
from mbnet_jax.demo.explainer import Explainer
from mbnet_jax.demo.finder import Found
from mbnet_jax.files import printable
from mbnet_jax.models.branches import BRANCHES

MOST = 50  # photographs in a list
_K = 10
_TITLE = "Who looks like this person?"
_LEAD = (
    "Drop a photograph of one person, cropped as a detector does, and choose where to "
    "search. A high rank means similar appearance to the network, not proof of "
    "identity."
)


def import_gradio() -> Any:
    """Returns Gradio.

    Raises:
      ValueError: it is not installed.
    """
    try:
        import gradio
    except ImportError as error:
        raise ValueError(
            "the page needs Gradio: pip install -r requirements-demo.txt"
        ) from error
    return gradio


def make_app(
    explainer: Explainer,
    galleries: Sequence[Path],
    queries: Sequence[Path] = (),
    described: str = "",
) -> Any:
    """Returns the page as a `gradio.Blocks`, which `serve` shows.

    It reads no file but those of the galleries, the queries and what is dropped.

    Args:
      explainer: compares pairs, and has the finder that searches.
      galleries: the folders to choose from, one at least.
      queries: photographs that are offered to search with.
      described: the network, in a line.

    Raises:
      ValueError: if Gradio is not installed.
    """
    gr = import_gradio()
    finder = explainer.finder

    def search(query: Path | None, gallery: int, branches: list[str], k: int):
        if query is None:
            refused = html.refusal("drop a photograph first, or choose one below")
            return None, refused, ""
        try:
            found = finder.find(query, galleries[gallery], branches, int(k))
        except (ValueError, OSError) as error:
            return None, html.refusal(str(error)), ""
        return found, html.results(found), ""

    def compare(found: Found | None, event: gr.EventData):
        hit = _chosen(event, found.hits if found else [])
        if hit is None:
            return ""
        try:
            compared = explainer.compare(
                found.query, found.folder / hit.name, found.branches
            )
        except (ValueError, OSError) as error:
            return html.refusal(str(error))
        return html.pair(found, event.number, compared)

    def example(event: gr.EventData):
        return _chosen(event, queries), None

    with gr.Blocks(
        title=_TITLE, analytics_enabled=False, delete_cache=(600, 3600), fill_width=True
    ) as app:
        gr.Markdown(f"# {_TITLE}")
        gr.HTML(html.lead(_LEAD, described, finder.warning), js_on_load=None)
        found, query = gr.State(None), gr.State(None)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                dropped = gr.File(label="Photograph", type="filepath", height=140)
                shown = _buttons(gr, html.examples(queries), visible=bool(queries))
            with gr.Column(scale=1, min_width=300):
                gallery = gr.Dropdown(
                    [(printable(path), i) for i, path in enumerate(galleries)],
                    value=0,
                    label="Search in",
                )
                branches = gr.CheckboxGroup(
                    [(BRANCHES[name].title, name) for name in finder.branches],
                    value=[*finder.default],
                    label="Branches",
                )
                k = gr.Slider(1, MOST, _K, step=1, label="How many photographs")
                button = gr.Button("Search", variant="primary")
        results = _buttons(gr)
        pair = gr.HTML(js_on_load=None)

        on = _one_at_a_time
        searching = {
            "fn": search,
            "inputs": [query, gallery, branches, k],
            "outputs": [found, results, pair],
        }
        on(dropped.upload, Path, [dropped], [query]).then(**searching, **_ONE)
        on(dropped.clear, lambda: None, [], [query])
        on(shown.click, example, [], [query, dropped]).then(**searching, **_ONE)
        on(button.click, **searching)
        on(results.click, compare, [found], [pair])
    return app


# The network works for one visitor at a time; only the page calls functions.
_ONE = {
    "concurrency_id": "network",
    "concurrency_limit": 1,
    "api_visibility": "private",
}


def _one_at_a_time(event: Callable, fn: Callable, inputs: list, outputs: list) -> Any:
    return event(fn=fn, inputs=inputs, outputs=outputs, **_ONE)


def _buttons(gr: Any, value: str = "", visible: bool = True) -> Any:
    """A part of the page whose buttons with a number trigger `click`."""
    script = (html.TEMPLATES / "demo.js").read_text()
    return gr.HTML(value, js_on_load=script, visible=visible)


def _chosen(event: Any, items: Sequence) -> Any:
    """The item whose number, from 1, was clicked; None if there is none such."""
    number = event.number
    if not isinstance(number, int) or not 1 <= number <= len(items):
        return None
    return items[number - 1]
