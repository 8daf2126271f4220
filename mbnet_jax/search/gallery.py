"""A folder of photographs with their embeddings; only new ones are computed."""

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbnet_jax.files import check_writable, printable
from mbnet_jax.locks import locked
from mbnet_jax.models.branches import needing_maps
from mbnet_jax.parsing.maps import map_path
from mbnet_jax.search.cache import DIGESTS, check_folders, explained, model_folder
from mbnet_jax.search.digests import Digests
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.photographs import Failures, Stamp, list_photographs, usable
from mbnet_jax.search.rows import Rows

_DIGEST_BYTES = 32

_File = tuple[Path, Stamp]
_Source = tuple[_File, ...]  # a photograph and, if maps are used, its parsing map


class _Map(NamedTuple):
    digest: bytes
    file: _File


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
    others = [cache] if parsing_dir is None else [cache, parsing_dir]
    if listed is None:
        files, failures = list_photographs(folder, without=others)
    else:
        files, failures = listed, []
    if not files:
        why = (
            f"the first of {len(failures)} that cannot be used: "
            + ": ".join(failures[0])
            if failures
            else "give the folder of the photographs"
        )
        raise ValueError(
            f"{printable(folder)} and its sub-folders hold no photograph; {why}"
        )
    if not needing_maps(branches):
        parsing_dir = None
    check_writable(cache, "free space, change its permissions or give another --cache")
    with explained(), locked(cache):
        digests = Digests(cache / DIGESTS, embedder.config.data.threads)
        try:
            images, unreadable = digests.of(folder, files)
            failures += unreadable
            maps, unreadable = _maps(folder, images, parsing_dir, digests)
            failures += unreadable
        finally:
            digests.close()
        if parsing_dir is None:
            keys = images
        else:
            keys = {name: images[name] + found.digest for name, found in maps.items()}
        rows = Rows(
            model_folder(cache, embedder, branches, parsing_dir is not None),
            embedder.width(branches),
            _DIGEST_BYTES * (1 if parsing_dir is None else 2),
        )
        damaged = rows.drop_damaged(keys.values(), embedder.config.data.threads)
        if damaged:
            warnings.warn(
                f"{damaged} of the rows in {printable(cache)} were damaged; they are "
                "computed again",
                stacklevel=2,
            )
        missing: dict[bytes, _Source] = {}  # one file per content
        for name, key in keys.items():
            if key not in rows.index and key not in missing:
                image = folder / name, files[name]
                missing[key] = (image, maps[name].file) if maps else (image,)
        reasons = _embed(embedder, branches, rows, missing, batch_size)
    failures += [(name, reasons[keys[name]]) for name in keys if keys[name] in reasons]
    names = [name for name, key in keys.items() if key in rows.index]
    if not names:
        raise ValueError(
            f"none of the {len(files)} photographs in {printable(folder)} can be used; "
            "the first: "
            f"{failures[0][0]}: {failures[0][1]}"
        )
    features, row_of_each = rows.features(
        np.array([rows.index[keys[name]] for name in names])
    )
    return Gallery(
        folder,
        names,
        row_of_each,
        features,
        [images[name] for name in names],
        len(missing) - len(reasons),
        failures,
    )


def _maps(
    folder: Path, names: Iterable[str], parsing_dir: Path | None, digests: Digests
) -> tuple[dict[str, _Map], Failures]:
    """The parsing maps of photographs, by the photographs' names; and failures."""
    if parsing_dir is None:
        return {}, []
    failures: Failures = []
    stamps: dict[str, Stamp] = {}
    map_of: dict[str, str] = {}  # photograph -> its map, relative to parsing_dir
    for name in names:
        path = map_path(folder / name, folder, parsing_dir)
        map_of[name] = os.path.relpath(path, parsing_dir)
        try:
            stamps[map_of[name]] = usable(path.stat())
        except OSError:
            failures.append((name, f"has no parsing map {path}"))
        except ValueError as error:
            failures.append((name, f"its parsing map {path} {error}"))
    found, unreadable = digests.of(parsing_dir, stamps)
    reasons = dict(unreadable)
    failures += [
        (name, f"its parsing map {reasons[own]}")
        for name, own in map_of.items()
        if own in reasons
    ]
    return {
        name: _Map(found[own], (parsing_dir / own, stamps[own]))
        for name, own in map_of.items()
        if own in found
    }, failures


def _embed(
    embedder: Embedder,
    branches: tuple[str, ...],
    rows: Rows,
    sources: dict[bytes, _Source],
    batch_size: int,
) -> dict[bytes, str]:
    """Adds a row for each key of `sources`; returns the keys that failed, and why."""
    reasons: dict[bytes, str] = {}
    keys = list(sources)
    images, *maps = zip(*sources.values(), strict=True) if sources else ((),)
    paths = [path for path, _ in images]
    map_paths = [path for path, _ in maps[0]] if maps else None

    def failed(index: int, error: Exception) -> None:
        reasons[keys[index]] = str(error)

    for indices, embedded in embedder.stream(
        paths, map_paths, branches, batch_size, failed
    ):
        read = [keys[index] for index in indices]
        unchanged = [_unchanged(sources[key]) for key in read]
        kept = [key for key, same in zip(read, unchanged, strict=True) if same]
        for key in {*read} - {*kept}:
            reasons[key] = "changed while it was read; search again"
        if kept:
            rows.add(kept, embedded[unchanged])
    return reasons


def _unchanged(source: _Source) -> bool:
    """Whether the files still have the content whose digest was taken."""
    try:
        return all(usable(path.stat()) == before for path, before in source)
    except (OSError, ValueError):
        return False
