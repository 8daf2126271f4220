"""Evaluates a trained run: table, `metrics.json`, pictures and a report.

    mbnet-eval --config synthetic [--checkpoint STEP] [--workdir DIR]

In a checkout also `python eval.py --config configs/synthetic.py`.
"""

from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from mbnet_jax import api
from mbnet_jax.commands.cli import run
from mbnet_jax.runs.checkpoints import BEST, parse_checkpoint


def main() -> None:
    """Reads the flags, and evaluates one checkpoint."""
    checkpoint = flags.DEFINE_string("checkpoint", BEST, "A step, or 'best'.")

    def evaluate(config: ConfigDict, workdir: Path) -> None:
        which = parse_checkpoint(checkpoint.value)
        api.Run(workdir).evaluate(config, which=which)

    run(evaluate)


if __name__ == "__main__":
    main()
