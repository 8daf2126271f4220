"""From folders of images to sharded batches."""

from mbnet_jax.data.datasets import read_records
from mbnet_jax.data.load import Dataset, load_dataset
from mbnet_jax.data.records import Record
from mbnet_jax.data.splits import Split, Validation

__all__ = [
    "Dataset",
    "Record",
    "Split",
    "Validation",
    "load_dataset",
    "read_records",
]
