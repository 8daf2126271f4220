"""Finds the photographs most similar to each query, and writes a page of them.

    mbnet-search [--model runs/prcc] --gallery PHOTOS --query a.jpg b.jpg
        --out report.html

Searches the gallery's sub-folders too. Embeddings are cached, so the next search
embeds only new photographs; docs/use.md describes the cache.
"""

import argparse
import sqlite3
import sys
import warnings
from pathlib import Path

from absl import logging

from mbnet_jax.devices import compilation_cache
from mbnet_jax.files import cache_folder, check_writable, write_whole
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.maker import check_maker
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.gallery import open_gallery
from mbnet_jax.search.nearest import embed_queries, find_nearest
from mbnet_jax.search.page import draw_page

_SHOWN = 10  # failures that are printed


def search(arguments: argparse.Namespace) -> None:
    """Searches, and writes the page.

    Raises:
      ValueError, OSError: naming what cannot be used.
    """
    if arguments.k < 1:
        raise ValueError(f"--k={arguments.k} must be at least 1")
    if arguments.out.is_dir():
        raise ValueError(f"--out={arguments.out} is a folder; give the page's file")
    check_writable(arguments.out.parent, "give another --out")
    maps, query_maps = arguments.parsing, arguments.query_parsing
    if query_maps and not maps:
        raise ValueError("--query_parsing needs --parsing: maps for both, or none")
    embedder = Embedder.load(arguments.model, parsing_labels=arguments.parsing_labels)
    for folder in {maps, query_maps} - {None}:
        if not folder.is_dir():
            raise FileNotFoundError(f"no such folder of parsing maps: {folder}")
        check_maker(folder, embedder.parsing_labels, flag="parsing_labels")
    branches = embedder.choose(arguments.branches, maps is not None)
    paths, rows, failed = embed_queries(
        arguments.query, arguments.gallery, embedder, branches, maps, query_maps
    )
    _warn_of("query", failed)
    if not paths:
        raise ValueError("no query can be used")
    gallery = open_gallery(
        arguments.gallery,
        embedder,
        branches,
        arguments.cache,
        maps,
        arguments.batch_size,
    )
    _warn_of("photograph", gallery.failures)
    found = find_nearest(paths, rows, gallery, arguments.k)
    network = arguments.model or "of mbnet_jax, trained on synthetic people only"
    described = (
        f"Network {network}, step {embedder.step}; branches: "
        f"{' + '.join(name.replace('_', '-') for name in branches)}."
    )
    page = draw_page(found, gallery, failed, described, embedder.config.data.threads)
    write_whole(arguments.out, page)
    print(
        f"{len(gallery.names):,} photographs, {gallery.embedded:,} of them embedded "
        f"now; wrote {arguments.out}"
    )


def _warn_of(what: str, failures: list[tuple[str, str]]) -> None:
    for name, why in failures[:_SHOWN]:
        print(f"warning: {what} {name} is left out: {why}", file=sys.stderr)
    if len(failures) > _SHOWN:
        rest = len(failures) - _SHOWN
        print(f"warning: and {rest} more; the page lists them", file=sys.stderr)


def main(argv: list[str] | None = None) -> None:
    """Parses the flags and searches; exits with one line for bad input."""
    parser = argparse.ArgumentParser(
        prog="mbnet-search", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add(
        "--model",
        help="a trained network, such as runs/prcc; by default the one that comes "
        "with mbnet_jax, trained on synthetic people only",
    )
    add("--gallery", required=True, type=Path, help="the folder to search in")
    add("--query", required=True, type=Path, nargs="+", help="photographs to find")
    add("--out", type=Path, default=Path("search.html"), help="the page to write")
    add("--k", type=int, default=20, help="photographs listed for each query")
    add(
        "--cache",
        type=Path,
        default=cache_folder("search"),
        help="the folder in which embeddings are cached",
    )
    add("--parsing", type=Path, help="parsing maps: mirrors --gallery, in PNG files")
    add("--query_parsing", type=Path, help="parsing maps of queries outside --gallery")
    add("--parsing_labels", choices=LABEL_SETS, help="label set; by default the run's")
    add(
        "--branches", nargs="+", help="branches to combine; by default the evaluation's"
    )
    add("--batch_size", type=int, default=64, help="photographs embedded at a time")
    arguments = parser.parse_args(argv)
    logging.set_verbosity(logging.FATAL)  # Orbax logs every file
    compilation_cache.enable()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            search(arguments)
    except sqlite3.Error as error:
        sys.exit(
            f"error: the cache {arguments.cache} cannot be used ({error}); delete it, "
            "or give another --cache"
        )
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted; finished embeddings are cached", file=sys.stderr)
        sys.exit(130)


def _show_warning(message, category, *_, **__) -> None:
    del category
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
