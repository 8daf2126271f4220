"""Loads the dataset that a config names, and prepares it on first use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.config import check_config
from mbnet_jax.data.builder import prepare
from mbnet_jax.data.checks import count_warnings
from mbnet_jax.data.datasets import dataset_spec, find_variant, read_records
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.joint import join
from mbnet_jax.data.needed_maps import check_maps
from mbnet_jax.data.own_validation import GALLERY, QUERY, own_validation
from mbnet_jax.data.parts import (
    check_parts,
    configs_of,
    prepared_folder,
    trained_title,
)
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import keeping_all
from mbnet_jax.data.splits import (
    Split,
    Validation,
    hold_out_identities,
    make_split,
    make_validation,
)
from mbnet_jax.data.tracklets import by_tracklet
from mbnet_jax.data.with_val import with_val

DEFAULT = "default"  # the value of `data.validation` that leaves it to the dataset


@dataclass(frozen=True)
class Dataset:
    """A dataset that is ready for training and evaluation, or several of them.

    Attributes:
      train: the images to train on, without the identities held out; of several
        datasets, of all together.
      validation: the images that select the best checkpoint, if any.
      test: the test splits by name.
      protocols: how the test splits are evaluated.
      by_tracklet: whether tracklets are ranked rather than images. They are then the
        rows of the test splits and of the images for validation.
      parts: of several datasets: name -> each by itself. The attributes above, but
        `train`, are then empty: each is validated and tested by itself.
    """

    train: Split
    validation: Validation | None
    test: dict[str, Split]
    protocols: tuple[Protocol, ...]
    by_tracklet: bool = False
    parts: Mapping[str, "Dataset"] = field(default_factory=dict)

    @property
    def validations(self) -> dict[str, Validation]:
        """The images for validation of each part that has some; "" names the whole."""
        each = self.parts or {"": self}
        return {
            name: part.validation
            for name, part in each.items()
            if part.validation is not None
        }


@keeping_all()
def load_dataset(config: ConfigDict, *, training: bool = True) -> Dataset:
    """Loads the dataset that `config.data` describes.

    Generates it first if it is a generated one, and prints a warning if its counts
    differ from the published ones. Several are loaded one by one, and the
    images to train on are joined.

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
    check_parts(config.data)
    parts = {
        name: _load_one(part, training) for name, part in configs_of(config).items()
    }
    if len(parts) == 1:
        return next(iter(parts.values()))
    sets = [part.data.parsing_labels for part in configs_of(config).values()]
    train = join({name: part.train for name, part in parts.items()}, sets)
    return Dataset(train, None, {}, (), parts=parts)


def _load_one(config: ConfigDict, training: bool) -> Dataset:
    """Loads the only dataset that `config.data` describes."""
    data = config.data
    spec = dataset_spec(data.name)
    policy = validation_policy(data, spec)
    joins_val = data.get("train_with_val", False)
    if joins_val and policy == "own":
        raise ValueError(
            "data.train_with_val=True trains on the images of the split val, and "
            f"data.validation={data.validation} would validate on them; set "
            "data.validation to none or held_out"
        )
    folder = images_folder(data)
    variant = find_variant(spec, folder, data.get("variant", ""))
    records = read_records(data.name, folder, data.parsing_dir, variant)
    for line in count_warnings(spec, records, variant):
        print(f"warning: {line}")
    check_maps(config, records, training=training)
    prepared = prepared_folder(data)
    sources = prepare(records, folder, prepared, data.parsing_labels)
    splits = {
        name: make_split(records[name], sources[name], folder) for name in records
    }
    train, own = splits.pop("train"), splits.pop("val", None)
    own_query, own_gallery = (splits.pop(name, None) for name in (QUERY, GALLERY))
    if joins_val and own is None:
        raise ValueError(
            f"data.train_with_val=True, but {data.name} has no split val; set it to "
            "False"
        )
    if joins_val:
        train = with_val(train, own)
    if training and own is not None:
        print(f"note: trained on {trained_title(data)}: {len(train):,} images")
    validation = None
    ranked = by_tracklet if spec.by_tracklet else lambda images: images
    if policy == "held_out":
        train, held_out = hold_out_identities(
            train, data.validation_fraction, config.seed
        )
        validation = make_validation(ranked(held_out))
    elif policy == "own" and own_query is not None and own_gallery is not None:
        rule = spec.protocols[-1].rule
        validation = own_validation(own_query, own_gallery, rule)
    elif policy == "own":
        if own is None:
            raise ValueError(
                f"data.validation={data.validation}, but {data.name} has no split val; "
                "set held_out, or none to keep the last checkpoint"
            )
        validation = make_validation(ranked(own))
    test = {name: ranked(split) for name, split in splits.items()}
    return Dataset(train, validation, test, spec.protocols, spec.by_tracklet)


def validation_policy(data: ConfigDict, spec: DatasetSpec) -> str:
    """The one of `VALIDATIONS` that `data.validation` selects."""
    return spec.validation if data.validation == DEFAULT else data.validation


def images_folder(data: ConfigDict) -> Path:
    """The folder that `read_records` reads for `config.data`.

    Generates the images first if the dataset is a generated one.
    """
    spec = dataset_spec(data.name)
    return spec.make_folder(data) if spec.make_folder else Path(data.root)
