"""The photographs of a gallery that are nearest to each query."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbnet_jax.parsing.maps import map_path
from mbnet_jax.retrieval import top_k
from mbnet_jax.search.digests import digest_of
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.gallery import Gallery
from mbnet_jax.search.photos import Failures

SAME, COPY = "the query itself", "the same file content as the query"


class Hit(NamedTuple):
    """A photograph of the gallery in a ranked list.

    name: its path relative to the gallery.
    similarity: the cosine, -1 to 1.
    note: what it is to the query beside similar: `SAME`, `COPY` or "".
    """

    name: str
    similarity: float
    note: str


class Query(NamedTuple):
    """A photograph that is searched for, and what was found, nearest first."""

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
    """Embeds the queries: those that can be used, rows [q, d], and failures.

    Args:
      paths: their files.
      gallery: the folder that is searched.
      branches: what `embedder.choose` returned.
      parsing_dir: the gallery's parsing maps, in which those of queries inside
        `gallery` lie too; or None.
      query_parsing: where the maps of other queries lie, under their names;
        `parsing_dir` unless given.
    """
    failures: Failures = []
    maps = None
    if parsing_dir is not None:
        other = query_parsing or parsing_dir
        maps = [_map_of(path, gallery, parsing_dir, other) for path in paths]
    rows: dict[int, np.ndarray] = {}

    def failed(place: int, error: Exception) -> None:
        failures.append((str(paths[place]), str(error)))

    for places, made in embedder.stream(paths, maps, branches, failed=failed):
        rows |= dict(zip(places, made, strict=True))
    usable = [paths[place] for place in sorted(rows)]
    width = embedder.width(branches)
    stacked = np.reshape([rows[place] for place in sorted(rows)], (len(rows), width))
    return usable, stacked, failures


def _map_of(path: Path, gallery: Path, parsing_dir: Path, other: Path) -> Path:
    path, gallery = path.resolve(), gallery.resolve()
    if path.is_relative_to(gallery):
        return map_path(path, gallery, parsing_dir)
    return map_path(path, path.parent, other)


def find_nearest(
    paths: list[Path], rows: np.ndarray, gallery: Gallery, k: int
) -> list[Query]:
    """The k nearest photographs of `gallery` to each query, exact.

    Photographs of equal content are equally near, and come in the order of their
    names.

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
        digest, resolved = digest_of(path), path.resolve()
        hits: list[Hit] = []
        starts = np.searchsorted(sorted_rows, row)
        ends = np.searchsorted(sorted_rows, row, side="right")
        for similarity, start, end in zip(value, starts, ends, strict=True):
            for place in by_row[start:end][: k - len(hits)]:
                name, note = gallery.names[place], ""
                if gallery.digests[place] == digest:
                    is_query = (gallery.folder / name).resolve() == resolved
                    note = SAME if is_query else COPY
                hits.append(Hit(name, float(similarity), note))
        found.append(Query(path, hits))
    return found
