"""Trains MBNet, and evaluates its best checkpoint on the test split.

    mbnet-train --config synthetic [--config.FIELD=VALUE] [--workdir DIR]

In a checkout also `python train.py --config configs/synthetic.py`.
"""

from mbnet_jax import api
from mbnet_jax.commands.cli import run


def main() -> None:
    """Reads the flags, trains or resumes, and evaluates."""
    run(lambda config, workdir: api.train(config, workdir).evaluate(config))


if __name__ == "__main__":
    main()
