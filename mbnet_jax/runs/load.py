"""Loads a trained network: from a run, an export, or the Hugging Face hub."""

from pathlib import Path

from jax.sharding import Mesh

from mbnet_jax.backbones.weight_files import is_hub_id
from mbnet_jax.runs import exported
from mbnet_jax.runs.checkpoints import BEST
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.run_folder import FILE, RunFolder

# An exported network that comes with the package, trained on the synthetic dataset.
SHIPPED = Path(__file__).parent.parent / "assets" / "synthetic"


def load(source: str | Path, mesh: Mesh, which: str | int = BEST) -> Network:
    """Reads a trained network, replicated over `mesh`.

    Args:
      source: the folder of a run or of an export, or the Hugging Face hub id of an
        export, "owner/name", unless a folder of that name exists.
      which: the run's checkpoint, "best" or a step; an export has only one.

    Raises:
      FileNotFoundError: naming what is accepted, if `source` is none of these.
      ValueError: if it cannot be downloaded or read.
    """
    folder = Path(source)
    if not folder.exists() and is_hub_id(str(source)):
        try:
            folder = exported.download_export(str(source))
        except ValueError as error:
            raise ValueError(f"there is no folder {source}, and {error}") from error
    if exported.is_exported(folder):
        if which != BEST:
            raise ValueError(f"{source} is an export, which has no checkpoint {which}")
        return exported.load_exported(folder, mesh)
    if (folder / FILE).is_file():
        return RunFolder(folder).load(mesh, which)
    raise FileNotFoundError(
        f"{source} holds no trained network (no {FILE}); give the folder of a run, an "
        "exported folder, or a Hugging Face hub id"
    )
