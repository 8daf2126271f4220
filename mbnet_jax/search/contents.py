"""What a folder of photographs holds, by content; and embedding what is new."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbnet_jax.files import printable
from mbnet_jax.parsing.maps import map_path
from mbnet_jax.search.cache import DIGESTS
from mbnet_jax.search.digests import Digests
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.photographs import Failures, Stamp, list_photographs, usable

_File = tuple[Path, Stamp]
Source = tuple[_File, ...]  # a photograph and, if maps are used, its parsing map


class _Map(NamedTuple):
    digest: bytes
    file: _File


class Contents(NamedTuple):
    """The photographs of a folder whose bytes could be read.

    Attributes:
      images: name relative to the folder -> the SHA-256 of the photograph.
      keys: name -> the same, followed by that of its parsing map, if maps are used.
      sources: name -> its files.
      failures: what is left out, and why.
      count: how many files were found.
    """

    images: dict[str, bytes]
    keys: dict[str, bytes]
    sources: dict[str, Source]
    failures: Failures
    count: int

    def missing(self, names: Iterable[str]) -> dict[bytes, Source]:
        """The files of these names by key, one for each content."""
        found: dict[bytes, Source] = {}
        for name in names:
            found.setdefault(self.keys[name], self.sources[name])
        return found


def read_contents(
    folder: Path,
    cache: Path,
    parsing_dir: Path | None,
    threads: int,
    maps_used: bool,
    listed: dict[str, Stamp] | None = None,
) -> Contents:
    """Lists the photographs, and takes the digests of new or changed ones.

    Args:
      folder: searched with its sub-folders.
      cache: has the digests that were taken before; the caller has locked it.
      parsing_dir: the parsing maps: mirrors `folder`, in PNG files; or None.
      threads: how many threads read files.
      maps_used: whether a branch needs the maps; otherwise they are not read.
      listed: as in `open_gallery`.

    Raises:
      ValueError: if the folder holds no photograph.
      OSError: if `cache` cannot be written to.
    """
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
    digests = Digests(cache / DIGESTS, threads)
    try:
        images, unreadable = digests.of(folder, files)
        failures += unreadable
        if parsing_dir is None or not maps_used:
            sources = {name: ((folder / name, files[name]),) for name in images}
            return Contents(images, images, sources, failures, len(files))
        maps, unreadable = _maps(folder, images, parsing_dir, digests)
        failures += unreadable
    finally:
        digests.close()
    keys = {name: images[name] + found.digest for name, found in maps.items()}
    sources = {
        name: ((folder / name, files[name]), found.file) for name, found in maps.items()
    }
    return Contents(images, keys, sources, failures, len(files))


def _maps(
    folder: Path, names: Iterable[str], parsing_dir: Path, digests: Digests
) -> tuple[dict[str, _Map], Failures]:
    """The parsing maps of photographs, by the photographs' names; and failures."""
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


def embed_sources(
    embedder: Embedder,
    branches: tuple[str, ...],
    add: Callable[[Sequence[bytes], np.ndarray], None],
    sources: dict[bytes, Source],
    batch_size: int,
) -> dict[bytes, str]:
    """Embeds files batch by batch; returns the keys that failed, and why.

    Args:
      embedder, branches, batch_size: as in `open_gallery`.
      add: called with the keys of each batch, and their rows, float32 [k, d].
      sources: the files to embed, by key.
    """
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
            add(kept, embedded[unchanged])
    return reasons


def _unchanged(source: Source) -> bool:
    """Whether the files still have the content whose digest was taken."""
    try:
        return all(usable(path.stat()) == before for path, before in source)
    except (OSError, ValueError):
        return False
