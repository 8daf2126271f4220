"""Trains MBNet, and evaluates its best checkpoint on the test split.

python train.py --config configs/synthetic.py [--config.FIELD=VALUE] [--workdir DIR]
"""

from mbnet_jax.commands.train import main

if __name__ == "__main__":
    main()
