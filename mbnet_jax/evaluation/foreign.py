"""Loads a dataset that a network was not trained on, and may lack what it reads."""

from ml_collections import ConfigDict

from mbnet_jax.data import Dataset, load_dataset
from mbnet_jax.data.needed_maps import MissingMapsError
from mbnet_jax.models.branches import BRANCHES, needing_maps
from mbnet_jax.parsing.maps import MAKE_MAPS
from mbnet_jax.runs.run_folder import RunFolder, digest_labels


def load_foreign(config: ConfigDict) -> tuple[Dataset, ConfigDict, list[str]]:
    """Loads a dataset for a test; leaves out branches whose parsing maps are missing.

    Only if `eval.branches` asks for no branch by name.

    Args:
      config: of the test.

    Returns:
      The dataset, the config with `eval.branches` that can be evaluated, and notes to
      print.

    Raises:
      FileNotFoundError, ValueError: as `load_dataset`; also if no branch remains.
    """
    try:
        return load_dataset(config, training=False), config, []
    except MissingMapsError as error:
        if config.eval.branches:
            raise
        out = needing_maps(config.model.branches)
        kept = tuple(name for name in config.model.branches if name not in out)
        why = (
            f"{error.images} have no parsing map; to make maps: {MAKE_MAPS}, and for "
            "maps on disk give --config.data.parsing_dir and "
            "--config.data.parsing_labels"
        )
        titles = ", ".join(BRANCHES[name].title for name in out)
        if not kept:
            raise ValueError(
                f"the network has no branch but {titles}, which need parsing maps: "
                f"{why}"
            ) from error
    config = config.copy_and_resolve_references()
    config.eval.branches = kept
    note = f"left out: {titles}, which need parsing maps: {why}"
    return load_dataset(config, training=False), config, [note]


def check_images(run: RunFolder, config: ConfigDict, dataset: Dataset) -> None:
    """Refuses another manifest's images as those of a run, whose results they replace.

    Args:
      run: the run.
      config: of the test, which calls the dataset the run's own.
      dataset: what it loaded.

    Raises:
      ValueError: the images for training and validation are not the run's.
    """
    saved = run.config
    selects = ("validation", "validation_fraction")  # fields of data
    comparable = config.seed == saved.seed and all(
        config.data[field] == saved.data[field] for field in selects
    )
    moved = config.data.root != saved.data.root
    if config.data.name != "manifest" or not (moved and comparable and run.labels):
        return
    if digest_labels(dataset) != run.labels:
        raise ValueError(
            f"the manifest in {config.data.root} does not list the images that "
            f"{run.path} was trained on, in {saved.data.root}; to test on another "
            "dataset, give the config another name: --config.name=NAME"
        )
