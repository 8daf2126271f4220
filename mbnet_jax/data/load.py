"""Loads the dataset that a config names, making or preparing what is missing."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.builder import prepare
from mbnet_jax.data.checks import count_warnings
from mbnet_jax.data.datasets import read_records
from mbnet_jax.data.needed_maps import check_maps
from mbnet_jax.data.splits import (
    Split,
    Validation,
    hold_out_identities,
    make_split,
    make_validation,
)
from mbnet_jax.synthetic import SyntheticOptions, generate

VALIDATIONS = ("held_out", "own", "none")


@dataclass(frozen=True)
class Dataset:
    """What to train on, what chooses the best model, and the test splits by name.

    `train` is without the identities held out; `validation` may be None.
    """

    train: Split
    validation: Validation | None
    test: dict[str, Split]


def load_dataset(config: ConfigDict, *, training: bool = True) -> Dataset:
    """Reads `config.data`; the embedded dataset is generated first if need be.

    Warns of counts that differ from the published ones. `training` tells whether
    the dataset is to be trained on, or tested alone.

    Raises:
      FileNotFoundError: folders, images or parsing maps are missing.
      ValueError: files do not fit, images cannot be decoded, parsing maps lack that
        the config's branches need, or validation is asked for that the dataset does
        not allow.
    """
    data = config.data
    root = Path(data.root)
    if data.validation not in VALIDATIONS:
        raise ValueError(
            f"data.validation={data.validation!r} is unknown; known: "
            f"{', '.join(VALIDATIONS)}"
        )
    folder = images_folder(data)
    records = read_records(data.name, folder, data.parsing_dir)
    for line in count_warnings(data.name, records):
        print(f"warning: {line}")
    check_maps(config, records, training=training)
    sources = prepare(records, folder, root / "prepared" / data.name)
    splits = {
        name: make_split(records[name], sources[name], folder) for name in records
    }
    train, own = splits.pop("train"), splits.pop("val", None)
    validation = None
    if data.validation == "held_out":
        train, held_out = hold_out_identities(
            train, data.validation_fraction, config.seed
        )
        validation = make_validation(held_out)
    elif data.validation == "own":
        if own is None:
            raise ValueError(
                f"data.validation=own, but {data.name} has no split val; set held_out, "
                "or none to keep the last checkpoint"
            )
        validation = make_validation(own)
    return Dataset(train, validation, splits)


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
