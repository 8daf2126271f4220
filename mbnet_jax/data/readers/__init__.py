"""One reader a dataset: a function from its folder to labelled records."""

from pathlib import Path

from mbnet_jax.data.readers.synthetic import read_synthetic
from mbnet_jax.data.records import Record

READERS = {
    "synthetic": read_synthetic,
}


def read_records(name: str, root: str | Path) -> dict[str, list[Record]]:
    """Lists the images of dataset `name` in folder `root`, by split.

    In the training split `pid` and `clothes` are contiguous from 0 in sorted
    order; in the others `pid` is as in the files.

    Raises:
      ValueError: for an unknown `name`, or a file name that does not parse.
      FileNotFoundError: where the folder or a split of it is missing.
    """
    if name not in READERS:
        raise ValueError(
            f"data.name={name!r} is not a dataset here; known: {', '.join(READERS)}"
        )
    return READERS[name](Path(root))
