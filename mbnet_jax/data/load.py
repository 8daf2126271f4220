"""Loads the dataset that a config names, making or preparing what is missing."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.builder import prepare
from mbnet_jax.data.needed_maps import check_maps
from mbnet_jax.data.readers import read_records
from mbnet_jax.data.splits import Split, hold_out_identities, make_split
from mbnet_jax.synthetic import SyntheticOptions, generate


@dataclass(frozen=True)
class Dataset:
    """A dataset's splits; `train` without the identities held out for validation."""

    train: Split
    validation_query: Split
    validation_gallery: Split
    query: Split
    gallery: Split


def load_dataset(config: ConfigDict, *, training: bool = True) -> Dataset:
    """Reads `config.data`; the embedded dataset is generated first if need be.

    `training` tells whether the dataset is to be trained on, or tested alone.

    Raises:
      ValueError: where parsing maps lack that the config's branches need.
    """
    data = config.data
    root = Path(data.root)
    folder = images_folder(data)
    records = read_records(data.name, folder, data.parsing_dir or None)
    check_maps(config, records, training=training)
    sources = prepare(records, folder, root / "prepared" / data.name)
    splits = {name: make_split(records[name], sources[name]) for name in records}
    train, validation_query, validation_gallery = hold_out_identities(
        splits["train"], data.validation_fraction, config.seed
    )
    return Dataset(
        train, validation_query, validation_gallery, splits["query"], splits["gallery"]
    )


def images_folder(data: ConfigDict) -> Path:
    """The folder of `config.data`'s images; the embedded ones are made if need be."""
    root = Path(data.root)
    if data.name == "synthetic":
        return _generate(root, SyntheticOptions(**data.synthetic))
    return root


def _generate(root: Path, options: SyntheticOptions) -> Path:
    # A folder for each set of options, so that a small trial run does not
    # throw away the full dataset.
    text = json.dumps(vars(options), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return generate(root / "synthetic" / digest, options)
