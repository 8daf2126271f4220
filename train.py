"""Trains MBNet, then tests its best checkpoint.

python train.py --config configs/synthetic.py [--config.FIELD=VALUE] [--workdir DIR]
"""

from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.commands.cli import run
from mbnet_jax.data import load_dataset
from mbnet_jax.devices.cluster import first_process_first
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.protocols import usable_protocols
from mbnet_jax.evaluation.run import evaluate_run
from mbnet_jax.files import check_writable
from mbnet_jax.report import check_report
from mbnet_jax.runs.checkpoints import BEST
from mbnet_jax.training.loop import train


def main(config: ConfigDict, workdir: Path) -> None:
    """Trains, or goes on training, in `workdir`."""
    check_writable(workdir, "give another --workdir, or make room")
    dataset = first_process_first(lambda: load_dataset(config))
    # Before hours of training rather than after.
    protocols, notes = usable_protocols(dataset.protocols, dataset.test)
    check_report(config, protocols, dataset.test)
    for note in notes:
        print(f"note: {note}")
    mesh = make_mesh()
    train(config, dataset, workdir, mesh)
    evaluate_run(config, dataset, workdir, mesh, BEST)


if __name__ == "__main__":
    run(main)
