"""Fields of a config on a benchmark's command line: --config.FIELD=VALUE."""

import argparse
from collections.abc import Sequence

from mbnet_jax.overrides import FLAG


def overrides_of(parser: argparse.ArgumentParser, rest: Sequence[str]) -> list[str]:
    """Returns each FIELD=VALUE in `rest`; exits with a line at anything else."""
    for argument in rest:
        if not (argument.startswith(FLAG) and "=" in argument):
            parser.error(f"unknown argument {argument}")
    return [argument.removeprefix(FLAG) for argument in rest]
