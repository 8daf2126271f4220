"""The part of `mbnet-search` that fills and searches an index; docs/vector_index.md."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mbnet_jax.commands import flags
from mbnet_jax.files import printable, write_whole

if TYPE_CHECKING:
    import numpy as np

    from mbnet_jax.search.embedder import Embedder
    from mbnet_jax.search.photographs import Failures

# Flags without a meaning unless there is an index.
_NEED_INDEX = ("labels", "camera", "after", "before", "narrow", "approximate")


def add(parser: flags.Parser) -> None:
    """Adds the flags of an index."""
    parser.add(
        "--index",
        metavar="URI",
        help="a vector database to search in, also without --gallery: a folder, or "
        "the address of a bucket or cluster",
    )
    parser.add(
        "--labels",
        type=flags.path,
        metavar="FILE.csv",
        help="camera and time of --gallery's photographs, for --index",
    )
    parser.add_list(
        "--camera",
        metavar="NAMES",
        help="search only photographs of these cameras of the index",
    )
    for name, what in (("--after", "at this time or later"), ("--before", "earlier")):
        parser.add(
            name,
            metavar="TIME",
            help=f"search only photographs of the index taken {what}, as in "
            "2026-05-31 or 2026-05-31T14:30",
        )
    parser.add(
        "--narrow",
        type=flags.path,
        metavar="FILE",
        help="a narrower embedding for --index, which mbnet-narrow has written",
    )
    parser.add_switch(
        "--approximate",
        False,
        "search the index faster; a few of the most similar may be missed",
    )


def check(arguments: argparse.Namespace) -> None:
    """Refuses flags that do not fit together.

    Raises:
      ValueError: naming the flag.
    """
    from mbnet_jax.index.conditions import read_time

    if arguments.index is None:
        for name in _NEED_INDEX:
            if getattr(arguments, name):
                raise ValueError(f"--{name} needs --index; give that too")
        if arguments.gallery is None:
            raise ValueError("give --gallery, the folder to search in, or --index")
        return
    if arguments.detect or arguments.boxes:
        raise ValueError(
            "--index has photographs that show one person each: search with --detect "
            "or --boxes and --crops DIR first, then give that folder as --gallery"
        )
    if arguments.labels and not arguments.gallery:
        raise ValueError("--labels are of the photographs in --gallery; give that too")
    if arguments.camera == ():
        raise ValueError("--camera is empty; name some, or leave it out")
    for name in ("after", "before"):
        text = getattr(arguments, name)
        try:
            setattr(arguments, name, None if text is None else read_time(text))
        except ValueError as error:
            raise ValueError(f"--{name}: {error}") from error
    if arguments.after and arguments.before and arguments.after >= arguments.before:
        raise ValueError("--after must be earlier than --before")


def search_index(
    arguments: argparse.Namespace,
    embedder: "Embedder",
    branches: tuple[str, ...],
    paths: list[Path],
    rows: "np.ndarray",
    failed: "Failures",
) -> None:
    """Brings the gallery's rows up to date, if one is given; searches; writes the page.

    Args:
      arguments: of the command.
      embedder, branches: the network, and its branches.
      paths, rows, failed: what `embed_queries` returned.

    Raises:
      ValueError, OSError: naming what cannot be used.
    """
    import numpy as np

    from mbnet_jax.index import fill, labels, narrow, nearest
    from mbnet_jax.index.conditions import Conditions
    from mbnet_jax.search.captions import Searched
    from mbnet_jax.search.gallery import Gallery
    from mbnet_jax.search.page import draw_page

    known = labels.read_labels(arguments.labels) if arguments.labels else None
    narrowing = narrow.read(arguments.narrow) if arguments.narrow else None
    folder, maps = arguments.gallery, arguments.parsing
    table = fill.open_table(
        arguments.index,
        embedder,
        branches,
        maps is not None,
        narrowing,
        create=folder is not None,
    )
    failures: Failures = []
    if folder is not None:
        if known and not any(os.path.lexists(folder / name) for name in known):
            raise ValueError(
                f"--labels={arguments.labels} names no photograph of {folder}; its "
                "paths must be relative to that"
            )
        done = fill.fill(
            table,
            folder,
            embedder,
            branches,
            arguments.cache,
            maps,
            known,
            narrowing,
            arguments.batch_size,
        )
        failures = done.failures
        print(
            f"{done.photographs:,} photographs of {printable(folder)} are in the "
            f"index, {done.embedded:,} embedded now, {done.deleted:,} deleted"
        )
    rows = rows if narrowing is None else narrowing.apply(rows)
    conditions = Conditions(arguments.camera or (), arguments.after, arguments.before)
    approximate = arguments.approximate and table.prepare_approximate()
    probes = nearest.PROBES if approximate else None
    found = nearest.find_in_index(paths, rows, table, arguments.k, conditions, probes)
    count = len(table)
    everything = Gallery(
        Path(), range(count), np.empty(0, int), rows[:0], [], 0, failures
    )
    what = f"{count:,} photograph{'s' * (count != 1)}"
    words = [
        f"Network {arguments.model or 'of mbnet_jax'}, step {embedder.step}; branches: "
        f"{' + '.join(name.replace('_', '-') for name in branches)}",
        *([f"width {narrowing.width}"] if narrowing else []),
        *([f"only photographs {conditions}"] if str(conditions) else []),
        "approximate lists" if approximate else "exact lists",
    ]
    page = draw_page(
        found,
        everything,
        failed,
        printable(f"{'; '.join(words)}."),
        embedder.config.data.threads,
        Searched(what, f"the index {arguments.index}", [], {}),
    )
    write_whole(arguments.out, page)
    print(printable(f"searched {what}; wrote {arguments.out}"))
