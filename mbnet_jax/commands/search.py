"""Finds the photographs most similar to each query, and writes a page of them.

    mbnet-search [--model runs/prcc] --gallery PHOTOS --query a.jpg b.jpg
        --out report.html

Searches the gallery's sub-folders too. Embeddings are cached, so the next search
embeds only new photographs; docs/use.md describes the cache.
"""

import argparse
import re
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from mbnet_jax.commands import flags
from mbnet_jax.commands.detect_flags import find_scenes
from mbnet_jax.commands.embedding_flags import default_cache, load_parser
from mbnet_jax.commands.index_flags import search_index
from mbnet_jax.commands.search_flags import (
    check_entries,
    check_flags,
    make_parser,
)
from mbnet_jax.files import printable, write_whole
from mbnet_jax.sources import check_folder_or_hub

_SHOWN = 10  # failures that are printed
_GIVE_MAPS = (
    "give --parsing MAPS, or let a parser make them: --parser segformer (docs/use.md)"
)


def search(arguments: argparse.Namespace) -> None:
    """Searches, and writes the page.

    Raises:
      ValueError, OSError: naming what cannot be used.
    """
    check_flags(arguments)
    if arguments.model is not None:
        check_folder_or_hub(arguments.model)
    # Not before: jax takes seconds, wrong arguments are refused at once.
    from PIL import Image

    from mbnet_jax.parsing.maker import check_maker
    from mbnet_jax.search.captions import searched_scenes
    from mbnet_jax.search.embedder import Embedder
    from mbnet_jax.search.gallery import open_gallery
    from mbnet_jax.search.nearest import embed_queries, find_nearest
    from mbnet_jax.search.page import check_out, draw_page
    from mbnet_jax.search.tracks import with_tracks

    # Such an image is refused, and named.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    flags.prepare()
    check_out(arguments.out)
    maps, query_maps = arguments.parsing, arguments.query_parsing
    embedder = Embedder.load(
        arguments.model,
        parsing_labels=arguments.parsing_labels,
        parser=load_parser(arguments),
    )
    for folder in filter(None, (maps, query_maps)):
        check_maker(folder, embedder.parsing_labels, flag="parsing-labels")
    branches = embedder.choose(arguments.branches, maps is not None, _GIVE_MAPS)
    paths, failed = arguments.query, []
    scenes = find_scenes(arguments)
    if scenes is not None:
        _warn_of("scene", scenes.gallery.failures)
        paths, failed = scenes.paths, scenes.failures
    check_entries(arguments.k, len(paths))
    paths, rows, others = embed_queries(
        paths, arguments.gallery or maps, embedder, branches, maps, query_maps
    )
    failed = failed + others
    _warn_of("query", failed)
    if not paths:
        name, why = failed[0]
        raise ValueError(f"no query can be used; the first: {name}: {why}")
    if arguments.index:
        search_index(arguments, embedder, branches, paths, rows, failed)
        return
    gallery = open_gallery(
        arguments.gallery if scenes is None else scenes.gallery.folder,
        embedder,
        branches,
        arguments.cache,
        maps,
        arguments.batch_size,
        None if scenes is None else scenes.gallery.files(),
    )
    _warn_of("photograph", gallery.failures)
    searched = None
    if scenes is not None:
        gallery, tracklets = with_tracks(gallery, scenes.gallery)
        searched = searched_scenes(
            arguments.gallery, scenes.gallery, scenes.queries, tracklets
        )
    found = find_nearest(paths, rows, gallery, arguments.k)
    predicted = embedder.predicts(branches, maps is not None)
    network = arguments.model or "of mbnet_jax, trained on synthetic people only"
    described = printable(
        f"Network {network}, step {embedder.step}; branches: "
        f"{' + '.join(name.replace('_', '-') for name in branches)}"
        f"{', with parsing maps that the network predicts' * predicted}."
    )
    threads = embedder.config.data.threads
    page = draw_page(found, gallery, failed, described, threads, searched)
    write_whole(arguments.out, page)
    what = f"{len(gallery.names):,} photographs" if searched is None else searched.what
    _say(
        f"{what}, {gallery.embedded:,} of them embedded now; wrote {arguments.out}",
        sys.stdout,
    )


def _warn_of(what: str, failures: list[tuple[str, str]]) -> None:
    for name, why in failures[:_SHOWN]:
        _say(f"warning: {what} {name} is left out: {why}")
    if len(failures) > _SHOWN:
        _say(f"warning: and {len(failures) - _SHOWN} more; the page lists them")


def _say(text: str, stream: TextIO | None = None) -> None:
    """Prints one line, whatever the file names in it and the stream's encoding."""
    stream = stream or sys.stderr
    encoding = stream.encoding or "utf-8"
    line = _line(text).encode(encoding, "backslashreplace").decode(encoding)
    print(line, file=stream)


def _line(text: str) -> str:
    """The text in one line, without characters that a terminal would obey."""
    return printable(re.sub(r"\s*\n\s*", " ", text))


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and searches; exits with one line for bad input."""
    parser = make_parser()
    with flags.ending_in_one_line(
        "give a smaller --batch-size", "finished embeddings are cached"
    ):
        arguments = parser.arguments(argv)
        arguments.cache = arguments.cache or default_cache()
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            search(arguments)


def _show_warning(message, category, *_, **__) -> None:
    del category
    _say(f"warning: {message}")


if __name__ == "__main__":
    main()
