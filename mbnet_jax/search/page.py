"""The page of a search: each query and the photographs most similar to it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageOps

from mbnet_jax.report.page import picture, render
from mbnet_jax.search.gallery import Gallery
from mbnet_jax.search.nearest import Query
from mbnet_jax.search.photographs import Failures

_HEIGHT = 160  # pixels, of a picture
# About 5 KB each. Later photographs are listed by name alone.
_MOST_PICTURES = 2000


def draw_page(
    queries: list[Query],
    gallery: Gallery,
    failed_queries: Failures,
    described: str,
    threads: int = 8,
) -> str:
    """Returns a page of HTML that needs no other file.

    Args:
      queries: the results, in the order of the page.
      gallery: the photographs that were searched.
      failed_queries: the queries that could not be used, and why.
      described: the network and its embedding, in words.
      threads: how many threads make pictures.
    """
    wanted: dict[Path, None] = {}
    shown = 0
    for query in queries:
        for path in (query.path, *(gallery.folder / hit.name for hit in query.hits)):
            if shown == _MOST_PICTURES:
                break
            wanted[path] = None
            shown += 1
    with ThreadPoolExecutor(threads) as pool:
        pictures = dict(zip(wanted, pool.map(_picture, wanted), strict=True))
    left = _MOST_PICTURES

    def shown_as(path: Path) -> str | None:
        nonlocal left
        left -= 1
        return pictures.get(path) if left >= 0 else None

    return render(
        "search.html",
        title="Search results",
        gallery=_text(gallery.folder),
        count=len(gallery.names),
        described=described,
        queries=[
            {
                "name": _text(query.path),
                "picture": shown_as(query.path),
                "hits": [
                    {
                        "name": _text(hit.name),
                        "picture": shown_as(gallery.folder / hit.name),
                        "similarity": f"{hit.similarity:.3f}",
                        "note": hit.note,
                    }
                    for hit in query.hits
                ],
            }
            for query in queries
        ],
        most=_MOST_PICTURES if left < 0 else None,
        failed_queries=[(_text(name), _text(why)) for name, why in failed_queries],
        failed=[(_text(name), _text(why)) for name, why in gallery.failures],
    )


def _text(path: str | Path) -> str:
    """A path as text; invalid bytes become replacement characters."""
    return os.fsencode(path).decode("utf-8", "replace")


def _picture(path: Path) -> str | None:
    """A small picture as a `data:` URI; None if the file can no longer be read."""
    try:
        with Image.open(path) as image:
            # Decodes a JPEG at about the required size, which is faster.
            image.draft("RGB", (_HEIGHT, _HEIGHT))
            return picture(ImageOps.exif_transpose(image).convert("RGB"), _HEIGHT)
    except (OSError, ValueError, SyntaxError):
        return None
