"""The photographs of an index that are most similar to each query."""

import os
from pathlib import Path

import numpy as np

from mbnet_jax.index.conditions import Conditions
from mbnet_jax.index.table import Entry, IndexTable
from mbnet_jax.retrieval import top_k
from mbnet_jax.search.nearest import COPY, SAME, Hit, Query, digest_if_readable

# More than k are fetched: the database may round an embedding's product otherwise, and
# may hold a photograph twice if two machines filled one gallery at a time.
_MORE, _TIMES = 20, 2
PROBES = 20  # parts of the approximate index that are searched

_DIGEST_BYTES = 32  # of the photograph, at the start of a key


def find_in_index(
    paths: list[Path],
    rows: np.ndarray,
    table: IndexTable,
    k: int,
    conditions: Conditions | None = None,
    probes: int | None = None,
) -> list[Query]:
    """Returns the k most similar photographs of an index to each query.

    The database finds candidates; their similarities are computed here, as those of a
    search without an index. Equal ones are sorted by path. A hit's name is the
    photograph's absolute path.

    Args:
      paths: the queries' files.
      rows: their embeddings, float32 [q, d], narrowed as the table's.
      table: what `open_table` returned.
      k: how many photographs to find.
      conditions: which photographs are searched; None: all.
      probes: None compares with every row: the lists are exact. A number: as in
        `IndexTable.nearest`; a few true neighbours may be missed.
    """
    found = []
    for path, row in zip(paths, rows, strict=True):
        entries, vectors = table.nearest(
            row, _TIMES * k + _MORE, conditions or Conditions(), probes
        )
        hits = _ranked(row, entries, vectors, k)
        digest, real = digest_if_readable(path), os.path.realpath(path)
        listed = []
        for entry, similarity in hits:
            name, note = os.path.join(entry.gallery, entry.name), ""
            if entry.key[:_DIGEST_BYTES] == digest:
                note = SAME if os.path.realpath(name) == real else COPY
            listed.append(Hit(name, similarity, note))
        found.append(Query(path, listed))
    return found


def _ranked(
    row: np.ndarray, entries: list[Entry], vectors: np.ndarray, k: int
) -> list[tuple[Entry, float]]:
    """The k best entries, each photograph once, with their similarities."""
    order = sorted(range(len(entries)), key=lambda index: entries[index][:2])
    kept = [
        index
        for position, index in enumerate(order)
        if not position or entries[index][:2] != entries[order[position - 1]][:2]
    ]
    if not kept:
        return []
    values, nearest = top_k(row[None], vectors[kept], min(k, len(kept)))
    return [
        (entries[kept[index]], float(value))
        for value, index in zip(values[0], nearest[0], strict=True)
    ]
