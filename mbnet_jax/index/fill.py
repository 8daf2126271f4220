"""Brings a gallery's rows in an index up to date; only new photographs are embedded."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbnet_jax.files import check_writable
from mbnet_jax.index.labels import Labels
from mbnet_jax.index.narrow import Narrowing
from mbnet_jax.index.table import VERSION, Entry, IndexTable
from mbnet_jax.locks import locked
from mbnet_jax.models.branches import needing_maps
from mbnet_jax.search.cache import check_folders, explained
from mbnet_jax.search.contents import Contents, embed_sources, read_contents
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.photographs import Failures

# Rows wait for others, but not for long: a kill loses them.
_IN_A_GROUP = 4096
_SECONDS = 60

_UNKNOWN = Labels()


class Filled(NamedTuple):
    """What was done for a gallery.

    Attributes:
      photographs: how many of it are in the index now.
      embedded: how many were embedded now.
      deleted: how many rows were deleted, since their photographs are gone or changed.
      failures: files that are left out, and why.
    """

    photographs: int
    embedded: int
    deleted: int
    failures: Failures


def open_table(
    uri: str,
    embedder: Embedder,
    branches: tuple[str, ...],
    with_maps: bool,
    narrowing: Narrowing | None = None,
    create: bool = False,
) -> IndexTable:
    """Opens the table of what this network computes with these settings.

    Args:
      uri: of the database.
      embedder, branches: the network, and what `embedder.choose` returned.
      with_maps: whether there are parsing maps besides those of the parser.
      narrowing: of the embeddings; None: none.
      create: whether to create the table if there is none.

    Raises:
      ValueError: naming the URI, if there is no such table or it cannot be used; or
        the narrowing is of other embeddings.
    """
    name, width = embedder.digest(branches, with_maps), embedder.width(branches)
    if narrowing is not None:
        narrowing.check_source(embedder.origin(branches), width)
        name, width = f"{name}-{narrowing.digest}", narrowing.width
    return IndexTable(uri, f"{name}-{VERSION}", width, create)


def fill(
    table: IndexTable,
    folder: Path,
    embedder: Embedder,
    branches: tuple[str, ...],
    cache: Path,
    parsing_dir: Path | None = None,
    labels: Mapping[str, Labels] | None = None,
    narrowing: Narrowing | None = None,
    batch_size: int = 64,
) -> Filled:
    """Adds the photographs of a folder that have no row, and deletes stale rows.

    An interrupted fill resumes: a group of rows is there completely or not at all.

    Args:
      table: what `open_table` returned.
      folder, embedder, branches, parsing_dir, batch_size: as in `open_gallery`.
      cache: has the digests of files, not the embeddings.
      labels: name -> camera and time. None: those in the table stay.
      narrowing: of the embeddings; the table's.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if the folder holds no photograph, or the index cannot be used.
      OSError: if `cache` cannot be written to.
    """
    check_folders(folder, cache, parsing_dir)
    check_writable(cache, "free space, change its permissions or give another --cache")
    gallery = os.path.realpath(folder)
    maps_used = bool(needing_maps(branches))
    with explained(), locked(cache):
        contents = read_contents(
            folder, cache, parsing_dir, embedder.config.data.threads, maps_used
        )
        present, stale, relabelled = _compare(table, gallery, contents, labels)
        table.delete(gallery, stale)
        _relabel(table, relabelled)
        group = _Group(table, gallery, contents, labels or {}, narrowing)
        absent = [name for name in contents.keys if name not in present]
        group.expect(absent)
        missing = contents.missing(absent)
        try:
            reasons = embed_sources(embedder, branches, group.take, missing, batch_size)
        finally:  # also what Ctrl-C leaves
            group.flush()
    failures = contents.failures + [
        (name, reasons[contents.keys[name]])
        for name in absent
        if contents.keys[name] in reasons
    ]
    if group.added or stale:
        table.compact()
    return Filled(
        len(present) + group.added, len(missing) - len(reasons), len(stale), failures
    )


def _compare(
    table: IndexTable,
    gallery: str,
    contents: Contents,
    labels: Mapping[str, Labels] | None,
) -> tuple[set[str], list[str], list[Entry]]:
    """The names whose rows stay, those to delete, and entries with new labels."""
    present: set[str] = set()
    stale: list[str] = []
    relabelled: list[Entry] = []
    for entry in table.entries(gallery):
        name = entry.name
        # Two machines that fill one gallery at a time add rows twice.
        if contents.keys.get(name) != entry.key or name in present:
            stale.append(name)
            continue
        present.add(name)
        if labels is not None and labels.get(name, _UNKNOWN) != entry.labels:
            relabelled.append(entry._replace(labels=labels.get(name, _UNKNOWN)))
    gone = {*stale}
    kept = [entry for entry in relabelled if entry.name not in gone]
    return present - gone, [*gone], kept


def _relabel(table: IndexTable, entries: Sequence[Entry]) -> None:
    """Replaces rows by the same with other labels."""
    for start in range(0, len(entries), _IN_A_GROUP):
        part = entries[start : start + _IN_A_GROUP]
        names = [entry.name for entry in part]
        rows = table.rows(part[0].gallery, names)
        # If it is killed in between, the next fill embeds them again.
        table.delete(part[0].gallery, names)
        table.add(part, np.stack([rows[name] for name in names]))


class _Group:
    """Rows that wait to be added together."""

    def __init__(
        self,
        table: IndexTable,
        gallery: str,
        contents: Contents,
        labels: Mapping[str, Labels],
        narrowing: Narrowing | None,
    ):
        self._table, self._gallery, self._labels = table, gallery, labels
        self._contents, self._narrowing = contents, narrowing
        self._names: dict[bytes, list[str]] = {}
        self._entries: list[Entry] = []
        self._rows: list[np.ndarray] = []
        self._since = time.monotonic()
        self.added = 0

    def expect(self, names: Sequence[str]) -> None:
        """Notes whose rows will come: photographs of equal content share one."""
        for name in names:
            self._names.setdefault(self._contents.keys[name], []).append(name)

    def take(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Takes the rows of these keys, float32 [k, d]."""
        if self._narrowing is not None:
            rows = self._narrowing.apply(rows)
        for key, row in zip(keys, rows, strict=True):
            for name in self._names[key]:
                labels = self._labels.get(name, _UNKNOWN)
                self._entries.append(Entry(self._gallery, name, key, labels))
                self._rows.append(row)
        waited = time.monotonic() - self._since
        if len(self._rows) >= _IN_A_GROUP or waited > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Adds what waits."""
        if self._rows:
            self._table.add(self._entries, np.stack(self._rows))
            self.added += len(self._rows)
        self._entries, self._rows, self._since = [], [], time.monotonic()
