"""Evaluates a trained run: table, `metrics.json`, pictures and a report.

    mbnet-eval --config synthetic [--checkpoint STEP] [--workdir DIR]

In a checkout also `python eval.py --config configs/synthetic.py`. The config's dataset
may be another one than the run's: docs/across.md.
"""

import argparse
from collections.abc import Sequence

from ml_collections import ConfigDict

from mbnet_jax.commands.cli import ConfigParser, run
from mbnet_jax.runs.config_file import read_config_file

_EXAMPLES = (
    "--config synthetic",
    "--config synthetic --checkpoint 600",
    "--config prcc --config.data.root=/data --config.eval.rerank --workdir runs/prcc",
    "--config prcc --config.data.root=/data --workdir runs/ltcc",
    "--config synthetic --config.eval.branches=global,mask --config.eval.ranks=1,20",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, and evaluates one checkpoint."""
    parser = ConfigParser(
        "eval",
        "Evaluates a trained run on the test split: a table, scores and a report.",
        "--config NAME [--checkpoint STEP] [--workdir DIR] [--config.FIELD=VALUE ...]",
        _EXAMPLES,
        ("data", "eval"),
    )
    parser.add(
        "--checkpoint",
        default="best",
        metavar="STEP",
        help="a step of the run, or best, which is the default",
    )
    # Refuses a folder without a run at once.
    run(parser, _evaluate, argv, lambda flags: read_config_file(flags.workdir))


def _evaluate(config: ConfigDict, arguments: argparse.Namespace) -> None:
    from mbnet_jax import api
    from mbnet_jax.runs.checkpoints import parse_checkpoint

    which = parse_checkpoint(arguments.checkpoint)
    api.Run(arguments.workdir).evaluate(config, which=which)


if __name__ == "__main__":
    main()
