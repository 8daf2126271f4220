"""Loads a trained network: from a run, an export, or the Hugging Face hub."""

import os
from pathlib import Path

from jax.sharding import Mesh

from mbnet_jax.devices.mesh import check_mesh
from mbnet_jax.refusals import shown
from mbnet_jax.runs import exported
from mbnet_jax.runs.checkpoints import BEST, check_which
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.run_folder import FILE, RunFolder
from mbnet_jax.sources import check_folder_or_hub, did_you_mean

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
      ValueError: if it cannot be downloaded or read, or an argument is of another
        type.
    """
    if not isinstance(source, str | os.PathLike) or not os.fspath(source):
        raise ValueError(
            f"source={shown(source)} must be the path of a folder, or a Hugging "
            "Face hub id"
        )
    check_which(which)
    check_mesh(mesh)
    folder = Path(source)
    check_folder_or_hub(source)
    if not os.path.lexists(folder):
        try:
            folder = exported.download_export(str(source))
        except ValueError as error:
            raise ValueError(
                f"there is no folder {source}{did_you_mean(folder)}, and {error}"
            ) from error
    if exported.is_exported(folder):
        if which != BEST:
            raise ValueError(f"{source} is an export, which has no checkpoint {which}")
        return exported.load_exported(folder, mesh)
    if os.path.lexists(folder / FILE):
        return RunFolder(folder).load(mesh, which)
    name = str(source)
    if not name.isprintable() or not name.strip():
        name = ascii(name)
    raise FileNotFoundError(
        f"{name} holds no trained network (no {FILE}); give the folder of a run, an "
        "exported folder, or a Hugging Face hub id"
    )
