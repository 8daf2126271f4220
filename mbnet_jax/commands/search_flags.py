"""The flags of `mbnet-search`, and what can be refused before anything is loaded."""

import argparse
from pathlib import Path

from mbnet_jax import schema
from mbnet_jax.commands import detect_flags, embedding_flags, flags, index_flags
from mbnet_jax.parsing.label_sets import LABEL_SETS

_MOST_ENTRIES = 100_000  # of all lists of a page: about 30 MB
_NUMBERS = {
    "k": schema.whole(20, 1, _MOST_ENTRIES),
    "batch-size": embedding_flags.BATCH_SIZE,
}
_EXAMPLES = (
    "--gallery photos --query query.jpg",
    "--model runs/prcc --gallery photos --query a.jpg b.jpg --out report.html",
    "--model runs/prcc --gallery photos --parsing maps --query photos/a.jpg --k 50",
    "--model runs/prcc --gallery photos --parser segformer --query a.jpg",
    "--model runs/prcc --gallery photos --query a.jpg --branches global",
    "--model runs/prcc --gallery videos --query a.jpg --detect dfine --whole-queries",
)


def make_parser() -> flags.Parser:
    """Returns what reads the command line."""
    parser = flags.Parser(
        "search",
        "Finds the photographs most similar to each query, and writes a page of them.",
        "--gallery DIR --query FILE [FILE ...] [--model DIR] [--out FILE.html]",
        _EXAMPLES,
    )
    add, path = parser.add, flags.path
    embedding_flags.add_model(parser)
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
    embedding_flags.add(parser)
    detect_flags.add(parser)
    index_flags.add(parser)
    return parser


def check_flags(arguments: argparse.Namespace) -> None:
    """Refuses values that can be known to be wrong before anything is loaded."""
    numbers = {"k": arguments.k, "batch-size": arguments.batch_size}
    schema.check(numbers, _NUMBERS, "", prefix="--")
    check_entries(arguments.k, len(arguments.query))
    index_flags.check(arguments)
    detect_flags.check(arguments)
    if arguments.query_parsing and not arguments.parsing:
        raise ValueError("--query-parsing needs --parsing: maps for both, or none")
    if arguments.parser and arguments.parsing:
        raise ValueError(
            "--parser makes the maps that --parsing would give; leave one of them out"
        )
    embedding_flags.check(arguments)
    for flag, what in (
        ("gallery", "photographs"),
        ("parsing", "parsing maps"),
        ("query-parsing", "parsing maps"),
    ):
        folder = getattr(arguments, flag.replace("-", "_"))
        scenes = flag == "gallery" and detect_flags.uses_scenes(arguments)
        if scenes and folder.is_file():
            continue
        if folder is not None and not folder.is_dir():
            raise FileNotFoundError(f"no such folder of {what}: --{flag}={folder}")


def check_entries(k: int, queries: int) -> None:
    """Refuses lists that no page should have."""
    entries = k * queries
    if entries > _MOST_ENTRIES:
        raise ValueError(
            f"--k={k} photographs for each of {queries:,} queries are {entries:,}; a "
            f"page lists at most {_MOST_ENTRIES:,}"
        )
