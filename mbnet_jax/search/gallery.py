"""A folder of photographs with their embeddings; only new ones are computed."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbnet_jax.files import check_writable, printable
from mbnet_jax.locks import locked
from mbnet_jax.models.branches import needing_maps
from mbnet_jax.search.cache import check_folders, explained, model_folder
from mbnet_jax.search.contents import embed_sources, read_contents
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.photographs import Failures, Stamp
from mbnet_jax.search.rows import Rows

_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Gallery:
    """Photographs that can be searched.

    Attributes:
      folder: the folder they are in.
      names: their paths relative to `folder`, sorted.
      rows: int [n], the row of each in `features`; equal contents share one.
      features: float32 [m, d], embeddings of length 1.
      digests: the SHA-256 of each photograph's bytes.
      embedded: how many were embedded now, not found in the cache.
      failures: files that are left out, and why.
    """

    folder: Path
    names: list[str]
    rows: np.ndarray
    features: np.ndarray
    digests: list[bytes]
    embedded: int
    failures: Failures


def open_gallery(
    folder: Path,
    embedder: Embedder,
    branches: tuple[str, ...],
    cache: Path,
    parsing_dir: Path | None = None,
    batch_size: int = 64,
    listed: dict[str, Stamp] | None = None,
) -> Gallery:
    """Reads the embeddings of the photographs in `folder`, computing missing ones.

    New embeddings are saved in `cache` batch by batch.

    Args:
      folder: searched with its sub-folders.
      embedder: the network.
      branches: what `embedder.choose` returned.
      cache: a folder; see docs/use.md.
      parsing_dir: the parsing maps: mirrors `folder`, in PNG files. Not read if no
        branch needs them. None: there are none but those of the embedder.
      batch_size: photographs embedded at a time.
      listed: path relative to `folder` -> stamp, of the photographs. None: all that
        `list_photographs` finds.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if no photograph in it can be used, or the folders must not be one
        inside another.
      OSError: if `cache` cannot be written to.
    """
    check_folders(folder, cache, parsing_dir)
    check_writable(cache, "free space, change its permissions or give another --cache")
    threads, maps_used = embedder.config.data.threads, bool(needing_maps(branches))
    with explained(), locked(cache):
        contents = read_contents(folder, cache, parsing_dir, threads, maps_used, listed)
        keys, failures = contents.keys, contents.failures
        with_maps = parsing_dir is not None and maps_used
        rows = Rows(
            model_folder(cache, embedder, branches, with_maps),
            embedder.width(branches),
            _DIGEST_BYTES * (1 + with_maps),
        )
        damaged = rows.drop_damaged(keys.values(), threads)
        if damaged:
            warnings.warn(
                f"{damaged} of the rows in {printable(cache)} were damaged; they are "
                "computed again",
                stacklevel=2,
            )
        missing = contents.missing(
            name for name in keys if keys[name] not in rows.index
        )
        reasons = embed_sources(embedder, branches, rows.add, missing, batch_size)
    failures += [(name, reasons[keys[name]]) for name in keys if keys[name] in reasons]
    names = [name for name, key in keys.items() if key in rows.index]
    if not names:
        raise ValueError(
            f"none of the {contents.count} photographs in {printable(folder)} can be "
            f"used; the first: {failures[0][0]}: {failures[0][1]}"
        )
    features, row_of_each = rows.features(
        np.array([rows.index[keys[name]] for name in names])
    )
    return Gallery(
        folder,
        names,
        row_of_each,
        features,
        [contents.images[name] for name in names],
        len(missing) - len(reasons),
        failures,
    )
