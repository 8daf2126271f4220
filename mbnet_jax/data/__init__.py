"""From folders of images to sharded batches."""

from mbnet_jax.data.datasets import DATASETS, read_records, register
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.load import Dataset, load_dataset
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import Identifiers, Record
from mbnet_jax.data.splits import Split, Validation

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetSpec",
    "Identifiers",
    "Protocol",
    "Record",
    "Split",
    "Validation",
    "load_dataset",
    "read_records",
    "register",
]
