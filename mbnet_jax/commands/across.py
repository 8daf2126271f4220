"""Tests several networks on several datasets: one table of Rank-1 and mAP.

    mbnet-across --runs runs/ltcc runs/prcc --configs ltcc prcc [--out DIR]

A test whose results exist is not repeated. docs/across.md has more.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml_collections import ConfigDict

from mbnet_jax.commands import flags
from mbnet_jax.commands.cli import split
from mbnet_jax.config import read_config
from mbnet_jax.files import printable
from mbnet_jax.overrides import FLAG

if TYPE_CHECKING:
    from mbnet_jax.evaluation.matrix import Pair

_EXAMPLES = (
    "--runs runs/ltcc runs/prcc --configs ltcc prcc --config.data.root=/data",
    "--runs runs/ltcc,runs/synthetic --configs ltcc,prcc,mine.py --out tables",
    "--runs runs/* --configs prcc --embedding global --protocols same_clothes",
)
_LONGEST = 300  # characters of an error in the table


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, tests what is not tested yet, and writes the table."""
    parser = flags.Parser(
        "across",
        "Tests networks on datasets, also on those that they were not trained on, and "
        "writes one table of Rank-1 and mAP. What was tested before is not repeated.",
        "--runs DIR ... --configs NAME ... [--config.FIELD=VALUE ...] [--out DIR]",
        _EXAMPLES,
    )
    parser.add_list(
        "--runs",
        required=True,
        metavar="DIRS",
        help="folders of runs or exports, or Hugging Face hub ids of exports",
    )
    parser.add_list(
        "--configs",
        required=True,
        metavar="NAMES",
        help="config files, or names of configs: one for each dataset. Only data "
        "and eval are read; --config.FIELD=VALUE applies to all of them",
    )
    parser.add(
        "--out",
        type=flags.path,
        default=Path("across"),
        metavar="DIR",
        help="folder for matrix.md and matrix.json; across unless given",
    )
    parser.add(
        "--embedding",
        default="all",
        metavar="NAME",
        help="whose values: a branch, or all of them, which is the default",
    )
    parser.add_list(
        "--protocols",
        default=(),
        metavar="NAMES",
        help="of each dataset, the first of these that it has; unless given, its "
        "hardest",
    )
    parser.add(
        "--checkpoint",
        default="best",
        metavar="STEP",
        help="a step of every run, or best, which is the default",
    )
    parser.add(
        "--again", action="store_true", help="repeat tests whose results exist too"
    )
    with flags.ending_in_one_line("make eval.batch_size smaller", "run it again"):
        names: list[str] = []
        overrides: list[tuple[str, str]] = []
        rest = split(flags.given(argv), names, overrides)
        if names:
            raise ValueError(f"write --configs {names[0]}, not --config {names[0]}")
        arguments = parser.arguments(rest)
        configs = [read_config(name, overrides, FLAG) for name in arguments.configs]
        _check(arguments, configs)
        flags.prepare()
        failed = _test(arguments, configs)
    sys.exit(failed)


def _check(arguments: argparse.Namespace, configs: Sequence[ConfigDict]) -> None:
    """Refuses what no table can be made of."""
    for flag, values in (
        ("--runs", arguments.runs),
        ("--configs", [config.name for config in configs]),
    ):
        twice = [value for value in values if [*values].count(value) > 1]
        if not values or twice:
            raise ValueError(
                f"{flag} names {twice[0]} twice; give each a name of its own"
                if twice
                else f"{flag} names nothing"
            )
    for config in configs:
        if not isinstance(config.data.name, str):
            raise ValueError(
                f"the config {config.name} is of several datasets "
                f"({', '.join(config.data.name)}); give one config for each"
            )


def _test(arguments: argparse.Namespace, configs: Sequence[ConfigDict]) -> int:
    """Tests every run on every dataset; returns the exit code."""
    from mbnet_jax.evaluation.matrix import (
        cell_of,
        figures_of,
        matrix_content,
        matrix_markdown,
    )
    from mbnet_jax.files import check_writable, write_whole
    from mbnet_jax.json_files import write_json

    out = arguments.out
    check_writable(out, "give another --out")
    pairs: list[Pair] = []
    text = ""
    for pair in _pairs(arguments, configs):
        pairs.append(pair)
        cells = [cell_of(p, arguments.embedding, arguments.protocols) for p in pairs]
        figures = figures_of(pairs, cells)
        text = matrix_markdown(arguments.embedding, cells, figures)
        write_whole(out / "matrix.md", text)
        write_json(
            out / "matrix.json", matrix_content(arguments.embedding, cells, figures)
        )
    print(f"\n{text}\nwritten to {out / 'matrix.md'} and {out / 'matrix.json'}")
    return int(any("error" in cell for cell in cells))


def _pairs(
    arguments: argparse.Namespace, configs: Sequence[ConfigDict]
) -> Iterator["Pair"]:
    from mbnet_jax.evaluation.matrix import Pair

    for folder in arguments.runs:
        for config in configs:
            name, data = config.name, config.data
            pair = Pair(folder, name, data.name, data.get("variant", ""))
            try:
                yield _tested(pair, config, arguments)
            # One failed test must not stop the others, which may take hours.
            except Exception as error:
                print(f"error: {folder} on {name}: {printable(str(error))}")
                reason = printable(str(error).partition("\n")[0])[:_LONGEST]
                yield pair._replace(error=reason or type(error).__name__)


def _tested(pair: "Pair", config: ConfigDict, arguments: argparse.Namespace) -> "Pair":
    """The pair with its results: those that exist, or new ones."""
    from mbnet_jax.data.variants import with_variants
    from mbnet_jax.exported_run import open_run
    from mbnet_jax.runs.checkpoints import parse_checkpoint
    from mbnet_jax.runs.tested import has_own_datasets, tests_of, with_network_of

    config = with_variants(config)
    pair = pair._replace(variant=config.data.get("variant", ""))
    run, which = open_run(pair.run), parse_checkpoint(arguments.checkpoint)
    if has_own_datasets(run.config, config):  # any config of the dataset will do
        config = with_network_of(run.config, config)
    (test,) = tests_of(run.config, config)
    step = run.step_of(which)
    wanted = test.entries | run.entries | {"step": step}

    def stored() -> dict | None:
        content = run.metrics(test.name)
        return content if wanted.items() <= content.items() else None

    content = None if arguments.again else stored()
    if content is None:
        print(f"\n{pair.run} on {pair.config}:")
        run.evaluate(config, which=which)
        content = run.metrics(test.name)
    else:
        print(f"{pair.run} on {pair.config}: tested before, at step {step}")
    own = not test.foreign
    return pair._replace(trained_on=test.trained_on, own=own, content=content)


if __name__ == "__main__":
    main()
