"""Evaluates a trained network: table, `metrics.json`, pictures and a report.

    mbnet-eval --config synthetic [--checkpoint STEP] [--workdir DIR]
    mbnet-eval --config synthetic --model EXPORT [--out DIR]

In a checkout also `python eval.py --config configs/synthetic.py`. The config's dataset
may be another one than the network's: docs/across.md.
"""

import argparse
from collections.abc import Sequence

from ml_collections import ConfigDict

from mbnet_jax.commands import flags
from mbnet_jax.commands.cli import ConfigParser, run
from mbnet_jax.runs.config_file import read_config_file
from mbnet_jax.sources import check_folder_or_hub

_EXAMPLES = (
    "--config synthetic",
    "--config synthetic --checkpoint 600",
    "--config prcc --config.data.root=/data --config.eval.rerank --workdir runs/prcc",
    "--config prcc --config.data.root=/data --workdir runs/ltcc",
    "--config synthetic --config.eval.branches=global,mask --config.eval.ranks=1,20",
    "--config synthetic_unseen --model exported/mine --out runs/mine-export",
)


class _Parser(ConfigParser):
    """Its flags, of which some exclude others."""

    def arguments(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Reads the command line.

        Raises:
          ValueError: as `ConfigParser`, or if flags do not go together.
        """
        found = super().arguments(argv)
        if found.model and found.workdir:
            raise ValueError("--model and --workdir both name a network; give one")
        if found.out and not found.model:
            raise ValueError("--out is for the results of an export; give its --model")
        return found


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, and evaluates one checkpoint."""
    parser = _Parser(
        "eval",
        "Evaluates a trained network on the test split: a table, scores and a report.",
        "--config NAME [--workdir DIR | --model SOURCE] [--config.FIELD=VALUE ...]",
        _EXAMPLES,
        ("data", "eval"),
    )
    parser.add(
        "--checkpoint",
        default="best",
        metavar="STEP",
        help="a step of the run, or best, which is the default",
    )
    parser.add(
        "--model",
        metavar="SOURCE",
        help="in place of --workdir: an exported folder, a Hugging Face hub id, or a "
        "run",
    )
    parser.add(
        "--out",
        type=flags.path,
        metavar="DIR",
        help="folder for the results of an export; runs/<its name>-export unless given",
    )
    run(parser, _evaluate, argv, _check)


def _check(arguments: argparse.Namespace) -> None:
    """Refuses a folder without a network at once."""
    if arguments.model:
        check_folder_or_hub(arguments.model)
    else:
        read_config_file(arguments.workdir)


def _evaluate(config: ConfigDict, arguments: argparse.Namespace) -> None:
    from mbnet_jax.exported_run import open_run
    from mbnet_jax.runs.checkpoints import parse_checkpoint

    which = parse_checkpoint(arguments.checkpoint)
    source = arguments.model or arguments.workdir
    open_run(source, arguments.out).evaluate(config, which=which)


if __name__ == "__main__":
    main()
