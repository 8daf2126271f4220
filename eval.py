"""Tests a trained MBNet: table, metrics.json and a picture of ranked lists.

python eval.py --config configs/synthetic.py [--checkpoint STEP] [--workdir DIR]
"""

from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from mbnet_jax.commands.cli import run
from mbnet_jax.data import load_dataset
from mbnet_jax.devices.cluster import first_process_first
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.run import evaluate_run
from mbnet_jax.runs.checkpoints import BEST, which_checkpoint
from mbnet_jax.runs.run_folder import differences

_CHECKPOINT = flags.DEFINE_string("checkpoint", BEST, "A step, or 'best'.")


def main(config: ConfigDict, workdir: Path) -> None:
    """Tests one checkpoint of the run in `workdir`."""
    which = which_checkpoint(_CHECKPOINT.value)
    for line in differences(config, workdir):
        print(f"config differs from the saved run's: {line}")
    dataset = first_process_first(lambda: load_dataset(config, training=False))
    evaluate_run(config, dataset, workdir, make_mesh(), which)


if __name__ == "__main__":
    run(main)
