"""The flags of commands that embed photographs: network, parser, batches and cache."""

import argparse
from pathlib import Path

from mbnet_jax.commands import flags
from mbnet_jax.configs import base
from mbnet_jax.files import cache_folder
from mbnet_jax.parsing.load import parser_options
from mbnet_jax.parsing.presets import PRESETS
from mbnet_jax.parsing.segmenter import Parser

BATCH_SIZE = base.FIELDS.eval.batch_size


def add_model(parser: flags.Parser) -> None:
    """Adds the flag of the network, which help lists first."""
    parser.add(
        "--model",
        type=flags.path,
        metavar="DIR",
        help="a trained network, such as runs/prcc; by default the one that comes "
        "with mbnet_jax, trained on synthetic people only",
    )


def add(parser: flags.Parser) -> None:
    """Adds the other flags."""
    parser.add(
        "--parser",
        metavar="NAME",
        help="makes parsing maps on the way: a preset, downloaded once "
        f"({', '.join(PRESETS)}), or an ONNX file",
    )
    parser.add(
        "--preset", metavar="NAME", help="the preset whose form a --parser FILE has"
    )
    parser.add(
        "--batch-size",
        type=flags.whole,
        default=64,
        metavar="N",
        help="photographs embedded at a time; 64 unless given",
    )
    parser.add(
        "--cache",
        type=flags.path,
        metavar="DIR",
        help="the folder in which embeddings are cached; by default "
        "~/.cache/mbnet_jax/search",
    )


def check(arguments: argparse.Namespace) -> None:
    """Refuses a form of a parser that is not given."""
    if arguments.preset and not arguments.parser:
        raise ValueError("--preset is the form of a --parser FILE; give that too")


def load_parser(arguments: argparse.Namespace) -> Parser | None:
    """Loads what makes parsing maps on the way, if a flag names it."""
    if arguments.parser is None:
        return None
    return Parser(parser_options(arguments.parser, arguments.preset, flag="--parser"))


def default_cache() -> Path:
    """Returns the folder of the cache, unless `--cache` gives another."""
    try:
        return cache_folder("search")
    except RuntimeError as error:
        raise ValueError("this user has no home directory; give --cache") from error
