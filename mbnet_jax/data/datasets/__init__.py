"""One reader a dataset: a function from its folder to labelled records."""

from pathlib import Path

from mbnet_jax.data.datasets.ltcc import read_ltcc
from mbnet_jax.data.datasets.manifest import read_manifest
from mbnet_jax.data.datasets.prcc import read_prcc
from mbnet_jax.data.datasets.reading import attach_parsing
from mbnet_jax.data.datasets.synthetic import read_synthetic
from mbnet_jax.data.datasets.vc_clothes import read_vc_clothes
from mbnet_jax.data.records import Records

READERS = {
    "synthetic": read_synthetic,
    "ltcc": read_ltcc,
    "prcc": read_prcc,
    "vc_clothes": read_vc_clothes,
    "manifest": read_manifest,
}


def read_records(
    name: str, root: str | Path, parsing_dir: str | Path | None = None
) -> Records:
    """Lists the images of dataset `name` in folder `root`, by split.

    In the training split `pid` and `clothes` are contiguous from 0 in sorted
    order; in the others `pid` is as in the files. With `parsing_dir`, a folder
    that mirrors `root` with a .png for each image, parsing maps are those in there.

    Raises:
      ValueError: for an unknown `name`, a file name that does not parse, or a
        person in both training and test splits.
      FileNotFoundError: where the folder, a split of it or a parsing map is
        missing.
    """
    if name not in READERS:
        raise ValueError(
            f"data.name={name!r} is not a dataset here; known: {', '.join(READERS)}"
        )
    root = Path(root)
    records = READERS[name](root)
    if parsing_dir:
        records = attach_parsing(records, root, Path(parsing_dir))
    return records
