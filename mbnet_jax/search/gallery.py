"""A folder of photographs and their embeddings, of which only new ones are made."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbnet_jax.files import check_writable, locked, write_whole
from mbnet_jax.parsing.maps import map_path
from mbnet_jax.search.digests import Digests
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.photos import Failures, Stamp, list_photos, stamp
from mbnet_jax.search.rows import Rows

DIGESTS = "digests.sqlite"
_DIGEST_BYTES = 32


_File = tuple[Path, Stamp]
_Source = tuple[_File, ...]  # a photograph and, where it counts, its parsing map


class _Map(NamedTuple):
    digest: bytes
    file: _File


@dataclass(frozen=True)
class Gallery:
    """Photographs that can be searched.

    Attributes:
      folder: where they are.
      names: their paths relative to `folder`, sorted.
      rows: int [n], the row of each in `features`; equal contents share one.
      features: float32 [m, d], rows of length 1.
      digests: of each photograph's bytes.
      embedded: how many rows were made now, not found in the cache.
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
) -> Gallery:
    """Reads the embeddings of the photographs in `folder`, making those that lack.

    What is made is kept in `cache` batch by batch.

    Args:
      branches: what `embedder.choose` returned.
      cache: a folder; see docs/use.md.
      parsing_dir: parsing maps, mirroring `folder`, in PNG files; or None. Not read
        where no branch needs them.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if no photograph in it can be used.
      OSError: if `cache` cannot be written to.
    """
    files, failures = list_photos(folder, without=parsing_dir)
    if not files:
        raise ValueError(f"{folder} and its sub-folders hold no photograph")
    if not embedder.needs_maps(branches):
        parsing_dir = None
    check_writable(cache, "make room, correct its permissions, or give another --cache")
    with locked(cache):
        digests = Digests(cache / DIGESTS, embedder.config.data.threads)
        try:
            images, bad = digests.of(folder, files)
            failures += bad
            maps, bad = _maps(folder, images, parsing_dir, digests)
            failures += bad
        finally:
            digests.close()
        if parsing_dir is None:
            keys = images
        else:
            keys = {name: images[name] + row.digest for name, row in maps.items()}
        rows = Rows(
            model_folder(cache, embedder, branches),
            embedder.width(branches),
            _DIGEST_BYTES * (1 if parsing_dir is None else 2),
        )
        lacking: dict[bytes, _Source] = {}  # one file for each content
        for name, key in keys.items():
            if key not in rows.place and key not in lacking:
                image = folder / name, files[name]
                sources = (image, maps[name].file) if maps else (image,)
                lacking[key] = sources
        reasons = _embed(embedder, branches, rows, lacking, batch_size)
    failures += [(name, reasons[keys[name]]) for name in keys if keys[name] in reasons]
    names = [name for name, key in keys.items() if key in rows.place]
    if not names:
        raise ValueError(
            f"none of the {len(files)} photographs in {folder} can be used; the first: "
            f"{failures[0][0]}: {failures[0][1]}"
        )
    places = np.array([rows.place[keys[name]] for name in names])
    features, places = rows.features(places)
    return Gallery(
        folder,
        names,
        places,
        features,
        [images[name] for name in names],
        len(lacking) - len(reasons),
        failures,
    )


def _maps(
    folder: Path, names: Iterable[str], parsing_dir: Path | None, digests: Digests
) -> tuple[dict[str, _Map], Failures]:
    """The photographs' parsing maps, by the photographs' names; and failures."""
    if parsing_dir is None:
        return {}, []
    failures: Failures = []
    stamps: dict[str, Stamp] = {}
    place: dict[str, str] = {}  # of a photograph's map, relative to parsing_dir
    for name in names:
        path = map_path(folder / name, folder, parsing_dir)
        place[name] = os.path.relpath(path, parsing_dir)
        try:
            stamps[place[name]] = stamp(path.stat())
        except OSError:
            failures.append((name, f"has no parsing map {path}"))
    found, bad = digests.of(parsing_dir, stamps)
    reasons = dict(bad)
    failures += [
        (name, f"its parsing map {reasons[own]}")
        for name, own in place.items()
        if own in reasons
    ]
    return {
        name: _Map(found[own], (parsing_dir / own, stamps[own]))
        for name, own in place.items()
        if own in found
    }, failures


def model_folder(cache: Path, embedder: Embedder, branches: tuple[str, ...]) -> Path:
    """The folder of the rows that this network makes of these branches."""
    folder = cache / embedder.digest(branches)
    if not (folder / "model.json").is_file():
        folder.mkdir(exist_ok=True)
        content = {
            "name": embedder.config.name,
            "step": embedder.step,
            "branches": branches,
            "flip": embedder.config.eval.flip,
        }
        write_whole(folder / "model.json", json.dumps(content, indent=2) + "\n")
    return folder


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

    def failed(place: int, error: Exception) -> None:
        reasons[keys[place]] = str(error)

    for places, made in embedder.stream(paths, map_paths, branches, batch_size, failed):
        sound = [_unchanged(sources[keys[place]]) for place in places]
        for place, same in zip(places, sound, strict=True):
            if not same:
                reasons[keys[place]] = "changed while it was read; search again"
        kept = [keys[place] for place, same in zip(places, sound, strict=True) if same]
        if kept:
            rows.add(kept, made[sound])
    return reasons


def _unchanged(source: _Source) -> bool:
    """Whether the files still have the content whose digest was taken."""
    try:
        return all(stamp(path.stat()) == before for path, before in source)
    except OSError:
        return False
