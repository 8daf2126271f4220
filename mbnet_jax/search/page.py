"""The page of a search: each query and the photographs most similar to it."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from mbnet_jax.files import printable, read_bytes
from mbnet_jax.images import open_image, to_rgb
from mbnet_jax.report import replacing
from mbnet_jax.report.page import picture, render
from mbnet_jax.search.captions import Label, Searched
from mbnet_jax.search.gallery import Gallery
from mbnet_jax.search.nearest import Query
from mbnet_jax.search.photographs import Failures

_HEIGHT = 160  # pixels, of a picture
_WIDE = 4  # a picture is at most this many times as wide
# About 5 KB each. Later photographs are listed by name alone.
_MOST_PICTURES = 2000
_MOST_CHARACTERS = 40_000_000  # of pictures; one of noise takes far more than 5 KB
# The template writes it near the start of each page.
_MARK = b'<meta name="generator" content="mbnet-search">'
_MOST_FAILURES = 1000  # that are listed


def draw_page(
    queries: list[Query],
    gallery: Gallery,
    failed_queries: Failures,
    described: str,
    threads: int = 8,
    searched: Searched | None = None,
) -> str:
    """Returns a page of HTML that needs no other file; `is_page` knows it.

    Args:
      queries: the results, in the order of the page.
      gallery: the photographs that were searched.
      failed_queries: the queries that could not be used, and why.
      described: the network and its embedding, in words.
      threads: how many threads make pictures.
      searched: what was searched, if not all photographs of the gallery's folder.
    """
    count = len(gallery.names)
    if searched is None:
        what = f"{count:,} photograph{'s' * (count != 1)}"
        searched = Searched(what, gallery.folder, [], {})
    paths = (
        path
        for query in queries
        for path in (query.path, *(gallery.folder / hit.name for hit in query.hits))
    )
    wanted = dict.fromkeys(itertools.islice(paths, _MOST_PICTURES))
    with ThreadPoolExecutor(threads) as pool:
        pictures = dict(zip(wanted, pool.map(_picture, wanted), strict=True))
    drawn, characters, left_out = 0, 0, False

    def shown_as(path: Path) -> str | None:
        nonlocal drawn, characters, left_out
        drawing = pictures.get(path) or ""
        if drawn == _MOST_PICTURES or characters + len(drawing) > _MOST_CHARACTERS:
            left_out = True
        if left_out:
            return None
        drawn, characters = drawn + 1, characters + len(drawing)
        return drawing or None

    entries = [
        {
            **searched.labels.get(query.path, Label(printable(query.path)))._asdict(),
            "picture": shown_as(query.path),
            "hits": [
                {
                    **searched.labels.get(
                        gallery.folder / hit.name, Label(printable(hit.name))
                    )._asdict(),
                    "picture": shown_as(gallery.folder / hit.name),
                    "similarity": f"{hit.similarity:.3f}",
                    "note": hit.note,
                }
                for hit in query.hits
            ],
        }
        for query in queries
    ]
    return render(
        "search.html",
        title="Search results",
        gallery=printable(searched.folder),
        what=searched.what,
        scenes=bool(searched.labels),
        described=described,
        queries=entries,
        most=drawn if left_out else None,
        failed_queries=_lines(failed_queries),
        failed=_lines([*searched.failures, *gallery.failures]),
        most_failures=_MOST_FAILURES,
    )


def _lines(failures: Failures) -> list[tuple[str, str]]:
    return [(printable(name), printable(why)) for name, why in failures]


def _picture(path: Path) -> str | None:
    """A small picture as a `data:` URI; None if the file can no longer be read."""
    try:
        image = open_image(read_bytes(path), str(path), least=_HEIGHT)
        pixels = Image.fromarray(to_rgb(image, str(path)))
    except (OSError, ValueError):
        return None
    if pixels.width > _WIDE * max(pixels.height, _HEIGHT):
        pixels.thumbnail((_WIDE * _HEIGHT, _HEIGHT), Image.Resampling.LANCZOS)
    return picture(pixels, _HEIGHT)


def is_page(path: Path) -> bool:
    """Whether a file is a page that `draw_page` returned, so it may be replaced.

    Raises:
      ValueError: if it is not a regular file.
      OSError: if it cannot be read.
    """
    return replacing.is_page(path, _MARK)


def check_out(out: Path) -> None:
    """Refuses to replace what is not a page of a search.

    Raises:
      ValueError, OSError: naming `--out`.
    """
    replacing.check_out(out, _MARK, "a search")
