"""Loads a trained network: from a run, an export, or the Hugging Face hub."""

import os
from pathlib import Path

from jax.sharding import Mesh

from mbnet_jax.backbones.weights.files import download
from mbnet_jax.devices.mesh import check_mesh
from mbnet_jax.refusals import shown
from mbnet_jax.runs import calibration_file, exported
from mbnet_jax.runs.checkpoints import BEST, check_which
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.run_folder import FILE, RunFolder
from mbnet_jax.sources import check_folder_or_hub, did_you_mean

# An exported network that comes with the package, trained on the synthetic dataset.
SHIPPED = Path(__file__).parent.parent / "assets" / "synthetic"


def find(source: str | Path) -> Path:
    """The folder of a run or of an export; an export on the hub is downloaded.

    Args:
      source: the folder, or the Hugging Face hub id of an export, "owner/name", unless
        a folder of that name exists.

    Raises:
      FileNotFoundError: naming what is accepted, if `source` is none of these.
      ValueError: if it cannot be downloaded, or is of another type.
    """
    if not isinstance(source, str | os.PathLike) or not os.fspath(source):
        raise ValueError(
            f"source={shown(source)} must be the path of a folder, or a Hugging "
            "Face hub id"
        )
    folder = Path(source)
    check_folder_or_hub(source)
    if not os.path.lexists(folder):
        try:
            folder = _download(str(source))
        except ValueError as error:
            raise ValueError(
                f"there is no folder {source}{did_you_mean(folder)}, and {error}"
            ) from error
    if exported.is_exported(folder) or os.path.lexists(folder / FILE):
        return folder
    name = str(source)
    if not name.isprintable() or not name.strip():
        name = ascii(name)
    raise FileNotFoundError(
        f"{name} holds no trained network (no {FILE}); give the folder of a run, an "
        "exported folder, or a Hugging Face hub id"
    )


def _download(hub_id: str) -> Path:
    """Downloads an export from the Hugging Face hub; returns its folder in the cache.

    Raises:
      ValueError: if it cannot be downloaded, with what to do.
    """
    folder = download(hub_id, FILE, instead="folder").parent
    if not exported.is_exported(folder):
        raise ValueError(
            f"{hub_id} on the Hugging Face hub is not an export of mbnet_jax: its "
            f'{FILE} has no "kind": "{exported.KIND}"'
        )
    if calibration_file.FILE in exported.file_names(folder):
        download(hub_id, calibration_file.FILE, instead="folder")
    return download(hub_id, exported.WEIGHTS, instead="folder").parent


def load(source: str | Path, mesh: Mesh, which: str | int = BEST) -> Network:
    """Reads a trained network, replicated over `mesh`.

    Args:
      source: what `find` takes.
      which: the run's checkpoint, "best" or a step; an export has only one.

    Raises:
      FileNotFoundError, ValueError: as `find`; also if it cannot be read, or an
        argument is of another type.
    """
    check_which(which)
    check_mesh(mesh)
    folder = find(source)
    if not exported.is_exported(folder):
        return RunFolder(folder).load(mesh, which)
    if which != BEST:
        raise ValueError(f"{source} is an export, which has no checkpoint {which}")
    return exported.load_exported(folder, mesh)
