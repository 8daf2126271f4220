"""The command line of the programs that compile for devices that need not be there."""

import argparse
import sys

from ml_collections import ConfigDict

from mbnet_jax.commands.cli import split
from mbnet_jax.config import read_config
from mbnet_jax.overrides import FLAG


def new_parser(doc: str, batch: int) -> argparse.ArgumentParser:
    """A parser of what all of them take, with `batch` images on each device."""
    parser = argparse.ArgumentParser(
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--batch_sizes", nargs="+", type=int, default=[batch])
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16"))
    return parser


def parsed(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, ConfigDict]:
    """The command line's arguments, and its config with overrides and dtype.

    Raises:
      ValueError: if the config or an override is wrong.
      OSError: if a file cannot be read.
    """
    names: list[str] = []
    overrides: list[tuple[str, str]] = []
    arguments = parser.parse_args(split(sys.argv[1:], names, overrides))
    if not names:
        parser.error("give a config: --config configs/prcc.py")
    config = read_config(names[0], overrides, FLAG)
    config.model.dtype = arguments.dtype
    return arguments, config
