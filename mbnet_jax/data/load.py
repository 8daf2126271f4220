"""Loads the dataset that a config names, and prepares it on first use."""

from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.config import check_config
from mbnet_jax.data.builder import prepare
from mbnet_jax.data.checks import count_warnings
from mbnet_jax.data.datasets import dataset_spec, read_records
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.needed_maps import check_maps
from mbnet_jax.data.own_validation import GALLERY, QUERY, own_validation
from mbnet_jax.data.parts import parts_of
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.splits import (
    Split,
    Validation,
    hold_out_identities,
    make_split,
    make_validation,
)

DEFAULT = "default"  # the value of `data.validation` that leaves it to the dataset


@dataclass(frozen=True)
class Dataset:
    """A dataset that is ready for training and evaluation.

    Attributes:
      train: the images to train on, without the identities held out.
      validation: the images that select the best checkpoint, if any.
      test: the test splits by name.
      protocols: how the test splits are evaluated.
      by_tracklet: whether tracklets are ranked rather than images.
    """

    train: Split
    validation: Validation | None
    test: dict[str, Split]
    protocols: tuple[Protocol, ...]
    by_tracklet: bool = False


def load_dataset(config: ConfigDict, *, training: bool = True) -> Dataset:
    """Loads the dataset that `config.data` describes.

    Generates it first if it is a generated one, and prints a warning if its counts
    differ from the published ones.

    Args:
      config: of the run.
      training: whether the dataset is trained on, so that the training images need
        parsing maps too.

    Raises:
      FileNotFoundError: folders, images or parsing maps are missing.
      ValueError: the config is wrong, files do not fit the layout, images cannot be
        decoded, the config's branches need parsing maps that are missing, or
        `data.validation` does not suit the dataset.
    """
    check_config(config)
    (data,) = parts_of(config.data).values()
    spec = dataset_spec(data.name)
    policy = validation_policy(data, spec)
    folder = images_folder(data)
    variant = data.get("variant", "")
    records = read_records(data.name, folder, data.parsing_dir, variant)
    for line in count_warnings(spec, records, variant):
        print(f"warning: {line}")
    check_maps(config, records, training=training)
    prepared = Path(data.root) / "prepared" / data.name
    sources = prepare(records, folder, prepared, data.parsing_labels)
    splits = {
        name: make_split(records[name], sources[name], folder) for name in records
    }
    train, own = splits.pop("train"), splits.pop("val", None)
    own_query, own_gallery = (splits.pop(name, None) for name in (QUERY, GALLERY))
    validation = None
    if policy == "held_out":
        train, held_out = hold_out_identities(
            train, data.validation_fraction, config.seed
        )
        validation = make_validation(held_out)
    elif policy == "own" and own_query is not None and own_gallery is not None:
        rule = spec.protocols[-1].rule
        validation = own_validation(own_query, own_gallery, rule)
    elif policy == "own":
        if own is None:
            raise ValueError(
                f"data.validation={data.validation}, but {data.name} has no split val; "
                "set held_out, or none to keep the last checkpoint"
            )
        validation = make_validation(own)
    return Dataset(train, validation, splits, spec.protocols, spec.by_tracklet)


def validation_policy(data: ConfigDict, spec: DatasetSpec) -> str:
    """The one of `VALIDATIONS` that `data.validation` selects."""
    return spec.validation if data.validation == DEFAULT else data.validation


def images_folder(data: ConfigDict) -> Path:
    """The folder that `read_records` reads for `config.data`.

    Generates the images first if the dataset is a generated one.
    """
    spec = dataset_spec(data.name)
    return spec.make_folder(data) if spec.make_folder else Path(data.root)
