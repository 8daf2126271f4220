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
from pathlib import Path
from typing import NoReturn, TextIO

import jax
from absl import logging
from PIL import Image

from mbnet_jax import schema
from mbnet_jax.devices import compilation_cache
from mbnet_jax.files import cache_folder, check_writable, printable, write_whole
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.load import parser_options
from mbnet_jax.parsing.maker import check_maker
from mbnet_jax.parsing.presets import PRESETS
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.search.checks import BATCH_SIZE, check_path
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.gallery import open_gallery
from mbnet_jax.search.nearest import embed_queries, find_nearest
from mbnet_jax.search.page import draw_page, is_page

_SHOWN = 10  # failures that are printed
_MOST_ENTRIES = 100_000  # of all lists of a page: about 30 MB
_GIVE_MAPS = (
    "give --parsing MAPS, or let a parser make them: --parser segformer (docs/use.md)"
)
_NUMBERS = {"k": schema.whole(20, 1, _MOST_ENTRIES), **BATCH_SIZE}


def search(arguments: argparse.Namespace) -> None:
    """Searches, and writes the page.

    Raises:
      ValueError, OSError: naming what cannot be used.
    """
    _check_flags(arguments)
    _check_out(arguments.out)
    maps, query_maps = arguments.parsing, arguments.query_parsing
    embedder = Embedder.load(
        arguments.model,
        parsing_labels=arguments.parsing_labels,
        parser=_parser(arguments),
    )
    for folder in filter(None, (maps, query_maps)):
        check_maker(folder, embedder.parsing_labels, flag="parsing_labels")
    branches = embedder.choose(arguments.branches, maps is not None, _GIVE_MAPS)
    paths, rows, failed = embed_queries(
        arguments.query, arguments.gallery, embedder, branches, maps, query_maps
    )
    _warn_of("query", failed)
    if not paths:
        name, why = failed[0]
        raise ValueError(f"no query can be used; the first: {name}: {why}")
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
    described = printable(
        f"Network {network}, step {embedder.step}; branches: "
        f"{' + '.join(name.replace('_', '-') for name in branches)}."
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
    numbers = {"k": arguments.k, "batch_size": arguments.batch_size}
    schema.check(numbers, _NUMBERS, "the command line", prefix="--")
    entries = arguments.k * len(arguments.query)
    if entries > _MOST_ENTRIES:
        raise ValueError(
            f"--k={arguments.k} photographs for each of {len(arguments.query)} queries "
            f"are {entries:,}; a page lists at most {_MOST_ENTRIES:,}"
        )
    if arguments.query_parsing and not arguments.parsing:
        raise ValueError("--query_parsing needs --parsing: maps for both, or none")
    if arguments.parser and arguments.parsing:
        raise ValueError(
            "--parser makes the maps that --parsing would give; leave one of them out"
        )
    if arguments.preset and not arguments.parser:
        raise ValueError("--preset is the form of a --parser FILE; give that too")
    for flag, what in (
        ("gallery", "photographs"),
        ("parsing", "parsing maps"),
        ("query_parsing", "parsing maps"),
    ):
        folder = getattr(arguments, flag)
        if folder is not None and not folder.is_dir():
            raise FileNotFoundError(f"no such folder of {what}: --{flag}={folder}")


def _check_out(out: Path) -> None:
    """Refuses to replace what is not a page of a search."""
    if out.is_dir():
        raise ValueError(f"--out={out} is a folder; give the page's file")
    check_writable(out.parent, "give another --out")
    try:
        ours = not out.is_symlink() and is_page(out)
    except FileNotFoundError:
        return
    except ValueError:  # a pipe or a device
        ours = False
    if not ours:
        raise ValueError(
            f"--out={out} exists, and is no page of a search: it is not replaced; give "
            "another --out, or move it away"
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


class _Parser(argparse.ArgumentParser):
    """Ends in one line, as the other commands do."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong with the command line."""
        short = message if len(message) < 500 else f"{message[:500]}..."
        _end(f"{short}; see --help")


def _end(message: str) -> NoReturn:
    sys.exit(_line(f"error: {message}"))


def _line(text: str) -> str:
    """The text in one line, without characters that a terminal would obey."""
    return printable(re.sub(r"\s*\n\s*", " ", text))


def _default_cache() -> Path:
    try:
        return cache_folder("search")
    except RuntimeError as error:
        raise ValueError("this user has no home directory; give --cache") from error


def _path(text: str) -> Path:
    try:
        check_path(text, "it")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no file name") from None
    return Path(text)


def main(argv: list[str] | None = None) -> None:
    """Parses the flags and searches; exits with one line for bad input."""
    parser = _Parser(prog="mbnet-search", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--model",
        type=_path,
        help="a trained network, such as runs/prcc; by default the one that comes "
        "with mbnet_jax, trained on synthetic people only",
    )
    add("--gallery", required=True, type=_path, help="the folder to search in")
    add("--query", required=True, type=_path, nargs="+", help="photographs to find")
    add("--out", type=_path, default=Path("search.html"), help="the page to write")
    add("--k", type=int, default=20, help="photographs listed for each query")
    add(
        "--cache",
        type=_path,
        help="the folder in which embeddings are cached; by default "
        "~/.cache/mbnet_jax/search",
    )
    add("--parsing", type=_path, help="parsing maps: mirrors --gallery, in PNG files")
    add("--query_parsing", type=_path, help="parsing maps of queries outside --gallery")
    add("--parsing_labels", choices=LABEL_SETS, help="label set; by default the run's")
    add(
        "--parser",
        help="makes parsing maps on the way: a preset, downloaded once "
        f"({', '.join(PRESETS)}), or an ONNX file",
    )
    add("--preset", help="the preset whose form a --parser FILE has")
    add(
        "--branches", nargs="+", help="branches to combine; by default the evaluation's"
    )
    add("--batch_size", type=int, default=64, help="photographs embedded at a time")
    arguments = parser.parse_args(argv)
    logging.set_verbosity(logging.FATAL)  # Orbax logs every file
    compilation_cache.enable()
    try:
        arguments.cache = arguments.cache or _default_cache()
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            # Such an image is refused, and named.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            search(arguments)
    except (ValueError, OSError) as error:
        _end(str(error))
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        first = str(error).partition("\n")[0][:300]
        _end(
            f"the network could not run ({first or 'out of memory'}); give a smaller "
            "--batch_size"
        )
    except KeyboardInterrupt:
        print("interrupted; finished embeddings are cached", file=sys.stderr)
        sys.exit(130)


def _show_warning(message, category, *_, **__) -> None:
    del category
    _say(f"warning: {message}")


if __name__ == "__main__":
    main()
