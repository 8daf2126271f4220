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
from pathlib import Path
from typing import TextIO

from mbnet_jax import schema
from mbnet_jax.commands import flags
from mbnet_jax.commands.search_index import (
    add_index_flags,
    check_index_flags,
    search_index,
)
from mbnet_jax.configs import base
from mbnet_jax.files import cache_folder, printable, write_whole
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.load import parser_options
from mbnet_jax.parsing.presets import PRESETS
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.sources import check_folder_or_hub

_SHOWN = 10  # failures that are printed
_MOST_ENTRIES = 100_000  # of all lists of a page: about 30 MB
_GIVE_MAPS = (
    "give --parsing MAPS, or let a parser make them: --parser segformer (docs/use.md)"
)
_NUMBERS = {
    "k": schema.whole(20, 1, _MOST_ENTRIES),
    "batch-size": base.FIELDS.eval.batch_size,
}
_EXAMPLES = (
    "--gallery photos --query query.jpg",
    "--model runs/prcc --gallery photos --query a.jpg b.jpg --out report.html",
    "--model runs/prcc --gallery photos --parsing maps --query photos/a.jpg --k 50",
    "--model runs/prcc --gallery photos --parser segformer --query a.jpg",
    "--model runs/prcc --gallery photos --query a.jpg --branches global",
)


def search(arguments: argparse.Namespace) -> None:
    """Searches, and writes the page.

    Raises:
      ValueError, OSError: naming what cannot be used.
    """
    _check_flags(arguments)
    if arguments.model is not None:
        check_folder_or_hub(arguments.model)
    # Not before: jax takes seconds, wrong arguments are refused at once.
    from PIL import Image

    from mbnet_jax.parsing.maker import check_maker
    from mbnet_jax.search.embedder import Embedder
    from mbnet_jax.search.gallery import open_gallery
    from mbnet_jax.search.nearest import embed_queries, find_nearest
    from mbnet_jax.search.page import check_out, draw_page

    # Such an image is refused, and named.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    flags.prepare()
    check_out(arguments.out)
    maps, query_maps = arguments.parsing, arguments.query_parsing
    embedder = Embedder.load(
        arguments.model,
        parsing_labels=arguments.parsing_labels,
        parser=_parser(arguments),
    )
    for folder in filter(None, (maps, query_maps)):
        check_maker(folder, embedder.parsing_labels, flag="parsing-labels")
    branches = embedder.choose(arguments.branches, maps is not None, _GIVE_MAPS)
    paths, rows, failed = embed_queries(
        arguments.query, arguments.gallery or maps, embedder, branches, maps, query_maps
    )
    _warn_of("query", failed)
    if not paths:
        name, why = failed[0]
        raise ValueError(f"no query can be used; the first: {name}: {why}")
    if arguments.index:
        search_index(arguments, embedder, branches, paths, rows, failed)
        return
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
    predicted = embedder.predicts(branches, maps is not None)
    network = arguments.model or "of mbnet_jax, trained on synthetic people only"
    described = printable(
        f"Network {network}, step {embedder.step}; branches: "
        f"{' + '.join(name.replace('_', '-') for name in branches)}"
        f"{', with parsing maps that the network predicts' * predicted}."
    )
    page = draw_page(found, gallery, failed, described, embedder.config.data.threads)
    write_whole(arguments.out, page)
    _say(
        f"{len(gallery.names):,} photographs, {gallery.embedded:,} of them embedded "
        f"now; wrote {arguments.out}",
        sys.stdout,
    )


def _parser(arguments: argparse.Namespace) -> Parser | None:
    """Loads what makes parsing maps on the way, if a flag names it."""
    if arguments.parser is None:
        return None
    return Parser(parser_options(arguments.parser, arguments.preset, flag="--parser"))


def _check_flags(arguments: argparse.Namespace) -> None:
    """Refuses values that can be known to be wrong before anything is loaded."""
    numbers = {"k": arguments.k, "batch-size": arguments.batch_size}
    schema.check(numbers, _NUMBERS, "", prefix="--")
    check_index_flags(arguments)
    entries = arguments.k * len(arguments.query)
    if entries > _MOST_ENTRIES:
        raise ValueError(
            f"--k={arguments.k} photographs for each of {len(arguments.query)} queries "
            f"are {entries:,}; a page lists at most {_MOST_ENTRIES:,}"
        )
    if arguments.query_parsing and not arguments.parsing:
        raise ValueError("--query-parsing needs --parsing: maps for both, or none")
    if arguments.parser and arguments.parsing:
        raise ValueError(
            "--parser makes the maps that --parsing would give; leave one of them out"
        )
    if arguments.preset and not arguments.parser:
        raise ValueError("--preset is the form of a --parser FILE; give that too")
    for flag, what in (
        ("gallery", "photographs"),
        ("parsing", "parsing maps"),
        ("query-parsing", "parsing maps"),
    ):
        folder = getattr(arguments, flag.replace("-", "_"))
        if folder is not None and not folder.is_dir():
            raise FileNotFoundError(f"no such folder of {what}: --{flag}={folder}")


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
    parser = flags.Parser(
        "search",
        "Finds the photographs most similar to each query, and writes a page of them.",
        "--gallery DIR --query FILE [FILE ...] [--model DIR] [--out FILE.html]",
        _EXAMPLES,
    )
    add, path = parser.add, flags.path
    add(
        "--model",
        type=path,
        metavar="DIR",
        help="a trained network, such as runs/prcc; by default the one that comes "
        "with mbnet_jax, trained on synthetic people only",
    )
    add(
        "--gallery",
        type=path,
        metavar="DIR",
        help="the folder to search in; with --index, the folder to add to it",
    )
    add(
        "--query",
        required=True,
        type=path,
        nargs="+",
        metavar="FILE",
        help="photographs to find, separated by spaces",
    )
    add(
        "--out",
        type=path,
        default=Path("search.html"),
        metavar="FILE",
        help="the page to write; search.html unless given",
    )
    add(
        "--k",
        type=flags.whole,
        default=20,
        metavar="N",
        help="photographs listed for each query; 20 unless given",
    )
    parser.add_list(
        "--branches",
        metavar="NAMES",
        help="branches to combine, as in global,mask; by default the evaluation's",
    )
    add(
        "--parsing",
        type=path,
        metavar="DIR",
        help="parsing maps: mirrors --gallery, in PNG files",
    )
    add(
        "--query-parsing",
        type=path,
        metavar="DIR",
        help="parsing maps of queries outside --gallery",
    )
    add(
        "--parsing-labels",
        choices=LABEL_SETS,
        metavar="SET",
        help=f"label set, of {', '.join(LABEL_SETS)}; by default the run's",
    )
    add(
        "--parser",
        metavar="NAME",
        help="makes parsing maps on the way: a preset, downloaded once "
        f"({', '.join(PRESETS)}), or an ONNX file",
    )
    add("--preset", metavar="NAME", help="the preset whose form a --parser FILE has")
    add(
        "--batch-size",
        type=flags.whole,
        default=64,
        metavar="N",
        help="photographs embedded at a time; 64 unless given",
    )
    add(
        "--cache",
        type=path,
        metavar="DIR",
        help="the folder in which embeddings are cached; by default "
        "~/.cache/mbnet_jax/search",
    )
    add_index_flags(parser)
    with flags.ending_in_one_line(
        "give a smaller --batch-size", "finished embeddings are cached"
    ):
        arguments = parser.arguments(argv)
        arguments.cache = arguments.cache or _default_cache()
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            search(arguments)


def _default_cache() -> Path:
    try:
        return cache_folder("search")
    except RuntimeError as error:
        raise ValueError("this user has no home directory; give --cache") from error


def _show_warning(message, category, *_, **__) -> None:
    del category
    _say(f"warning: {message}")


if __name__ == "__main__":
    main()
