"""One reader a dataset: a function from its folder to labelled records."""

from pathlib import Path

from mbnet_jax.data.needed_maps import with_maps
from mbnet_jax.data.readers.synthetic import read_synthetic
from mbnet_jax.data.records import Record

READERS = {
    "synthetic": read_synthetic,
}


def read_records(
    name: str, root: str | Path, parsing_dir: str | Path | None = None
) -> dict[str, list[Record]]:
    """Lists the images of dataset `name` in folder `root`, by split.

    With `parsing_dir`, a folder that mirrors `root`, maps are those in there.

    In the training split `pid` and `clothes` are contiguous from 0 in sorted
    order; in the others `pid` is as in the files.

    Raises:
      ValueError: for an unknown `name`, or a file name that does not parse.
      FileNotFoundError: where the folder or a split of it is missing, or a map.
    """
    if name not in READERS:
        raise ValueError(
            f"data.name={name!r} is not a dataset here; known: {', '.join(READERS)}"
        )
    records = READERS[name](Path(root))
    if parsing_dir is None:
        return records
    return with_maps(records, Path(root), Path(parsing_dir))
