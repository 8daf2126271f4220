"""The folder in which a search keeps what the next one can use."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax.files import filename_in_errors, printable
from mbnet_jax.json_files import write_json
from mbnet_jax.search.checks import check_path
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.rows import VERSION

DIGESTS = "digests.sqlite"


def check_folders(folder: Path, cache: Path, parsing_dir: Path | None) -> None:
    """Refuses folders that cannot be, or would be mistaken for one another.

    Raises:
      ValueError: naming the folder.
    """
    check_path(folder, "gallery")
    check_path(cache, "cache")
    gallery = Path(os.path.realpath(folder))
    if gallery.is_relative_to(os.path.realpath(cache)):
        raise ValueError(
            f"the gallery {printable(folder)} is in the cache {printable(cache)}, "
            "whose content may be deleted at any time; give another --cache"
        )
    if parsing_dir is not None and os.path.realpath(parsing_dir) == str(gallery):
        raise ValueError(
            f"--parsing={printable(parsing_dir)} is the gallery itself; give the "
            "folder of the parsing maps"
        )


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Adds to an error of the system that it is the cache's, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a message of our own
            raise
        raise OSError(
            f"the cache cannot be used: {printable(error.filename or '')}: "
            f"{os.strerror(error.errno)}; free space, change its permissions, move "
            "out what is not the cache's, or give another --cache"
        ) from error


def model_folder(
    cache: Path, embedder: Embedder, branches: tuple[str, ...], with_maps: bool = True
) -> Path:
    """Returns the folder of the rows that this network computes with these branches.

    Args:
      cache: the folder of all rows.
      embedder: the network.
      branches, with_maps: as in `Embedder.digest`.
    """
    folder = cache / f"{embedder.digest(branches, with_maps)}-{VERSION}"
    content = {
        "name": embedder.config.name,
        "step": embedder.step,
        "branches": branches,
        "flip": embedder.flip,
    }
    if embedder.parser is not None:
        content["parser"] = embedder.parser.maker
    with filename_in_errors(folder):
        folder.mkdir(exist_ok=True)
    if not (folder / "model.json").is_file():  # for people; nothing reads it
        write_json(folder / "model.json", content)
    return folder
