"""The parts of the page that show results, as HTML without scripts."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from mbnet_jax.demo.explainer import Pair
from mbnet_jax.demo.finder import Found
from mbnet_jax.files import encodable, printable, read_bytes
from mbnet_jax.images import open_image, to_rgb
from mbnet_jax.report import heat
from mbnet_jax.report.page import picture

TEMPLATES = Path(__file__).parent / "templates"
_HEIGHT = 192  # pixels, of a photograph
_WIDE = 4  # it is at most this many times as wide
_MOST_FAILURES = 100  # that are listed
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def results(found: Found) -> str:
    """The query and the photographs found for it, each a button."""
    hits = [
        {
            "name": printable(hit.name),
            "picture": thumbnail(found.folder / hit.name),
            "similarity": hit.similarity,
            "note": hit.note,
        }
        for hit in found.hits
    ]
    return _render(
        "results.html",
        query=thumbnail(found.query),
        name=printable(found.query.name),
        hits=hits,
        count=found.count,
        failures=[
            (printable(name), printable(why))
            for name, why in found.failures[:_MOST_FAILURES]
        ],
        failed=len(found.failures),
    )


def pair(found: Found, rank: int, compared: Pair) -> str:
    """What each branch looked at in the query and in the photograph at `rank`."""
    looks = [
        {
            "title": look.title,
            "similarity": look.similarity,
            "views": _pictures(look.views),
            "maps": [
                {**each._asdict(), "pictures": _pictures(each.pictures)}
                for each in look.maps
            ],
        }
        for look in compared.looks
    ]
    return _render(
        "pair.html",
        rank=rank,
        name=printable(found.hits[rank - 1].name),
        similarity=compared.similarity,
        looks=looks,
        scale=picture(heat.scale_bar(), _HEIGHT),
    )


def examples(paths: Sequence[Path]) -> str:
    """Photographs to search with, each a button."""
    return _render(
        "examples.html",
        examples=[(printable(path.name), thumbnail(path)) for path in paths],
    )


def lead(text: str, described: str, warning: str) -> str:
    """What the page is for, the network, and what it lacks."""
    return _render(
        "lead.html",
        text=text,
        described=printable(described),
        warning=printable(warning),
    )


def refusal(why: str) -> str:
    """What cannot be done, and why."""
    return _render("refusal.html", why=printable(why))


def thumbnail(path: Path) -> str | None:
    """A small picture as a `data:` URI; None if the file cannot be read."""
    try:
        image = open_image(read_bytes(path), str(path), least=_HEIGHT)
        pixels = Image.fromarray(to_rgb(image, str(path)))
    except (OSError, ValueError):
        return None
    pixels.thumbnail((_WIDE * _HEIGHT, _HEIGHT), Image.Resampling.LANCZOS)
    return picture(pixels, _HEIGHT)


def _pictures(images: Iterable[np.ndarray]) -> list[str]:
    return [picture(image, _HEIGHT) for image in images]


def _render(template: str, **values) -> str:
    return encodable(_TEMPLATES.get_template(template).render(**values))
