"""A trained network: from the folder of its run, or exported."""

from pathlib import Path
from typing import NamedTuple

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.backbones.weight_files import is_hub_id
from mbnet_jax.models import MBNet
from mbnet_jax.runs import exported as stored
from mbnet_jax.runs.checkpoints import BEST, Checkpoints
from mbnet_jax.runs.run_folder import (
    FILE,
    load_num_classes,
    load_num_clothes,
    load_saved,
)
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.step import init_state, make_model

# An exported network that comes with the package: of the synthetic dataset.
SHIPPED = Path(__file__).parent.parent / "assets" / "synthetic"


class Trained(NamedTuple):
    """A network and its weights.

    config: the run's, for views, preprocessing and evaluation.
    model: the network that it describes.
    variables: what `model.apply` takes, replicated over the mesh.
    step: of training, whose weights they are.
    """

    config: ConfigDict
    model: MBNet
    variables: dict
    step: int


def load(source: str | Path, mesh: Mesh) -> Trained:
    """Reads a trained network.

    Args:
      source: the folder of a run, whose best checkpoint is read; an exported folder;
        or the Hugging Face hub id of one, "owner/name", unless there is such a folder.

    Raises:
      FileNotFoundError: naming what is accepted, if `source` is nothing such.
      ValueError: if it cannot be downloaded or read.
    """
    folder = Path(source)
    if not folder.exists() and is_hub_id(str(source)):
        try:
            folder = stored.download_export(str(source))
        except ValueError as error:
            raise ValueError(f"there is no folder {source}, and {error}") from error
    if stored.is_exported(folder):
        return Trained(*stored.load_exported(folder, mesh))
    if (folder / FILE).is_file():
        return load_trained(folder, mesh)
    raise FileNotFoundError(
        f"{source} holds no trained network (no {FILE}); give the folder of a run, an "
        "exported folder, or a Hugging Face hub id"
    )


def load_trained(
    workdir: Path,
    mesh: Mesh,
    which: str | int = BEST,
    config: ConfigDict | None = None,
) -> Trained:
    """Reads checkpoint `which` ("best" or a step) of the run in `workdir`.

    Args:
      config: in place of the one that the run saved, to evaluate otherwise.

    Raises:
      FileNotFoundError: if there is no such run or checkpoint.
      ValueError: if the run cannot be read.
    """
    config = load_saved(workdir) if config is None else config
    classes, clothes = load_num_classes(workdir), load_num_clothes(workdir)
    model = make_model(config.model, classes, clothes)
    # The optimizer's state has one shape whatever the schedule.
    optimizer = make_optimizer(config.train, steps_per_epoch=1)
    abstract = jax.eval_shape(lambda: init_state(config, model, optimizer))
    with Checkpoints(workdir, create=False) as checkpoints:
        state, _ = checkpoints.restore(which, abstract, mesh)
    return Trained(config, model, state.variables, int(state.step))
