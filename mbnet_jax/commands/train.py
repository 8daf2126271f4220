"""Trains MBNet, and evaluates its best checkpoint on the test split.

    mbnet-train --config synthetic [--config.FIELD=VALUE] [--workdir DIR]

In a checkout also `python train.py --config configs/synthetic.py`.
"""

import argparse
from collections.abc import Sequence

from ml_collections import ConfigDict

from mbnet_jax.commands.cli import ConfigParser, run

_EXAMPLES = (
    "--config synthetic",
    "--config synthetic --config.train.epochs=2 --workdir runs/short",
    "--config prcc --config.data.root=/data --config.data.parsing_dir=/data/parsing",
    "--config synthetic --config.model.branches=global --no-config.model.ktm \\\n"
    "      --workdir runs/global",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, trains or resumes, and evaluates."""
    parser = ConfigParser(
        "train",
        "Trains MBNet, or resumes a training; evaluates its best checkpoint.",
        "--config NAME [--config.FIELD=VALUE ...] [--workdir DIR]",
        _EXAMPLES,
        ("data", "model", "train", "loss", "seed"),
    )
    run(parser, _train, argv)


def _train(config: ConfigDict, arguments: argparse.Namespace) -> None:
    from mbnet_jax import api

    api.train(config, arguments.workdir).evaluate(config)


if __name__ == "__main__":
    main()
