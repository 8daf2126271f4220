"""The photographs of a gallery that are most similar to each query."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbnet_jax.parsing.maps import map_path
from mbnet_jax.retrieval import top_k
from mbnet_jax.search.digests import digest_of
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.gallery import Gallery
from mbnet_jax.search.photographs import Failures

SAME, COPY = "the query itself", "the same file content as the query"


class Hit(NamedTuple):
    """A photograph of the gallery in a ranked list.

    Attributes:
      name: its path relative to the gallery.
      similarity: the cosine, -1 to 1.
      note: `SAME`, `COPY` or "".
    """

    name: str
    similarity: float
    note: str


class Query(NamedTuple):
    """A query, and the photographs found for it, most similar first."""

    path: Path
    hits: list[Hit]


def embed_queries(
    paths: list[Path],
    gallery: Path,
    embedder: Embedder,
    branches: tuple[str, ...],
    parsing_dir: Path | None = None,
    query_parsing: Path | None = None,
) -> tuple[list[Path], np.ndarray, Failures]:
    """Embeds the queries.

    Args:
      paths: their files.
      gallery: the folder that is searched.
      embedder: the network.
      branches: what `embedder.choose` returned.
      parsing_dir: the gallery's parsing maps, also those of queries inside `gallery`;
        None: no maps.
      query_parsing: the folder of other queries' maps, which have the queries' names.
        None: `parsing_dir`.

    Returns:
      The files that can be used, their embeddings, float32 [q, d], and the failures.
    """
    failures: Failures = []
    maps = None
    if parsing_dir is not None:
        other = query_parsing or parsing_dir
        maps = [_map_of(path, gallery, parsing_dir, other) for path in paths]
    rows: dict[int, np.ndarray] = {}

    def failed(index: int, error: Exception) -> None:
        failures.append((str(paths[index]), str(error)))

    for indices, embedded in embedder.stream(paths, maps, branches, failed=failed):
        rows |= dict(zip(indices, embedded, strict=True))
    usable = [paths[index] for index in rows]
    width = embedder.width(branches)
    return usable, np.reshape([*rows.values()], (len(rows), width)), failures


def digest_if_readable(path: Path) -> bytes | None:
    """The digest; None if the file, which was embedded, has vanished since."""
    try:
        return digest_of(path)
    except (OSError, ValueError):
        return None


def _map_of(path: Path, gallery: Path, parsing_dir: Path, other: Path) -> Path:
    path, gallery = Path(os.path.realpath(path)), Path(os.path.realpath(gallery))
    if path.is_relative_to(gallery):
        return map_path(path, gallery, parsing_dir)
    return map_path(path, path.parent, other)


def find_nearest(
    paths: list[Path], rows: np.ndarray, gallery: Gallery, k: int
) -> list[Query]:
    """Returns the k most similar photographs of `gallery` to each query, exact.

    Photographs of equal content have equal similarity; they are sorted by name.

    Args:
      paths: the queries' files.
      rows: their embeddings, float32 [q, d], q > 0.
    """
    count = min(k, len(gallery.features))
    values, nearest = top_k(rows, gallery.features, count)
    by_row = np.argsort(gallery.rows, kind="stable")
    sorted_rows = gallery.rows[by_row]
    found = []
    for path, value, row in zip(paths, values, nearest, strict=True):
        digest, real = digest_if_readable(path), os.path.realpath(path)
        hits: list[Hit] = []
        starts = np.searchsorted(sorted_rows, row)
        ends = np.searchsorted(sorted_rows, row, side="right")
        for similarity, start, end in zip(value, starts, ends, strict=True):
            for index in by_row[start:end][: k - len(hits)]:
                name, note = gallery.names[index], ""
                if gallery.digests[index] == digest:
                    is_query = os.path.realpath(gallery.folder / name) == real
                    note = SAME if is_query else COPY
                hits.append(Hit(name, float(similarity), note))
        found.append(Query(path, hits))
    return found
