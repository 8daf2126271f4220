"""A table of embeddings in a vector database: filled, searched, never rewritten."""

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mbnet_jax.index.client import connect, refused
from mbnet_jax.index.conditions import Conditions, quoted
from mbnet_jax.index.labels import Labels

VERSION = 1  # of the columns; it is part of the table's name
_VECTOR = "vector"
_IN_A_QUERY = 1000  # names that one condition lists
# Below, comparing with every row takes a fraction of a second, and an approximate index
# is not worth the half minute or more that it takes to build.
LEAST_INDEXED = 100_000
_MOST_UNINDEXED = 0.1  # of the rows: later ones are compared with one by one


class Entry(NamedTuple):
    """What a table knows of a photograph besides its embedding.

    Attributes:
      gallery: the folder, absolute.
      name: the path relative to it.
      key: the digests of its content.
      labels: its camera and time.
    """

    gallery: str
    name: str
    key: bytes
    labels: Labels


class IndexTable:
    """The embeddings that one network computes in one way, of any galleries.

    A row is a photograph. Rows are added in groups; each group is there completely or
    not at all, whenever a program is killed. Several machines may add rows at a time.
    """

    def __init__(self, uri: str, name: str, width: int, create: bool = False):
        """Opens the table, or creates it.

        Args:
          uri: of the database; see `connect`.
          name: of the table; letters, digits and dashes.
          width: numbers of an embedding.
          create: whether to create the table if there is none.

        Raises:
          ValueError: naming the URI, if there is no such table, or it has another
            width, or the database cannot be used.
        """
        self.uri, self.width = uri, width
        database = connect(uri)
        with self._explained():
            if create:
                self._table = database.create_table(
                    name, schema=_schema(width), exist_ok=True
                )
            else:
                try:
                    self._table = database.open_table(name)
                except (ValueError, FileNotFoundError) as error:
                    raise ValueError(
                        f"the index {uri} has no photographs embedded by this network "
                        "with these settings; fill it first: give --gallery"
                    ) from error
            found = self._table.schema.field(_VECTOR).type.list_size
        if found != width:
            raise ValueError(
                f"the index {uri} holds embeddings of width {found}, the network's "
                f"have {width}; give another --index"
            )

    def __len__(self) -> int:
        """The number of rows."""
        with self._explained():
            return self._table.count_rows()

    def entries(self, gallery: str) -> Iterator[Entry]:
        """Yields what is known of each row of a gallery; in no order."""
        columns = ["gallery", "name", "key", "camera", "time"]
        with self._explained():
            query = self._table.search().where(f"gallery = {quoted(gallery)}")
            for batch in query.select(columns).to_batches():
                yield from map(_entry, batch.to_pylist())

    def rows(self, gallery: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Reads embeddings: name -> float32 [d], of those names that have a row."""
        found: dict[str, np.ndarray] = {}
        with self._explained():
            for condition in _naming(gallery, names):
                query = self._table.search().where(condition)
                part = query.select(["name", _VECTOR]).to_arrow()
                vectors = _vectors(part, self.width)
                found |= dict(zip(part["name"].to_pylist(), vectors, strict=True))
        return found

    def add(self, entries: Sequence[Entry], rows: np.ndarray) -> None:
        """Adds a row for each of n entries; `rows` is float32 [n, d]."""
        import pyarrow as pa

        if rows.shape != (len(entries), self.width) or rows.dtype != np.float32:
            raise ValueError(
                f"{len(entries)} rows of {self.width} float32 were expected"
            )
        columns = {
            "gallery": [entry.gallery for entry in entries],
            "name": [entry.name for entry in entries],
            "key": [entry.key for entry in entries],
            "camera": [entry.labels.camera for entry in entries],
            "time": [entry.labels.time for entry in entries],
            _VECTOR: pa.FixedSizeListArray.from_arrays(
                pa.array(np.ascontiguousarray(rows).ravel()), self.width
            ),
        }
        with self._explained():
            self._table.add(pa.table(columns, schema=_schema(self.width)))

    def delete(self, gallery: str, names: Sequence[str]) -> None:
        """Deletes every row of these names."""
        with self._explained():
            for condition in _naming(gallery, names):
                self._table.delete(condition)

    def compact(self) -> None:
        """Joins the files of many groups, and frees what no row needs any more."""
        with self._explained():
            self._table.optimize(cleanup_older_than=datetime.timedelta(days=1))

    def prepare_approximate(self) -> bool:
        """Builds the approximate index, or adds new rows to it, if it is worth it.

        Returns:
          Whether there is one; a small table needs none.
        """
        count = len(self)
        if count < LEAST_INDEXED:
            return False
        with self._explained():
            names = [i.name for i in self._table.list_indices()]
            if not names:
                from lancedb.index import IvfPq

                parts = sub_vectors(self.width)
                config = IvfPq(distance_type="cosine", num_sub_vectors=parts)
                self._table.create_index(_VECTOR, config=config)
            elif (
                self._table.index_stats(names[0]).num_unindexed_rows
                > _MOST_UNINDEXED * count
            ):
                self._table.optimize()
        return True

    def nearest(
        self,
        row: np.ndarray,
        count: int,
        conditions: Conditions,
        probes: int | None = None,
    ) -> tuple[list[Entry], np.ndarray]:
        """Finds the rows that are nearest to `row`, float32 [d].

        Args:
          row: of length 1.
          count: how many to find.
          conditions: which rows are searched.
          probes: None compares with every row. Otherwise, the number of parts of the
            approximate index that are searched.

        Returns:
          The entries and their embeddings, float32 [n, d], n <= count; in no order.
        """
        with self._explained():
            query = self._table.search(row, vector_column_name=_VECTOR).limit(count)
            if probes is None:
                query = query.distance_type("dot").bypass_vector_index()
            else:
                # Ten times as many are compared exactly.
                query = query.distance_type("cosine").nprobes(probes).refine_factor(10)
            if conditions.sql:
                query = query.where(conditions.sql)
            columns = ["gallery", "name", "key", "camera", "time", _VECTOR]
            found = query.select([*columns, "_distance"]).to_arrow()
        entries = map(_entry, found.drop_columns([_VECTOR, "_distance"]).to_pylist())
        return [*entries], _vectors(found, self.width)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Adds to the client's errors which database it is, and what to do."""
        try:
            yield
        except ValueError as error:
            if str(error).startswith("the index "):
                raise
            raise refused(self.uri, error) from error
        except (RuntimeError, OSError, NotImplementedError) as error:
            raise refused(self.uri, error) from error


def sub_vectors(width: int) -> int:
    """Parts of an embedding that are each replaced by the nearest of 256 centres.

    They divide the width; of eight numbers each if that is possible.
    """
    return next(width // part for part in (8, 4, 2, 1) if width % part == 0)


def _schema(width: int) -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("gallery", pa.string(), nullable=False),
            pa.field("name", pa.string(), nullable=False),
            pa.field("key", pa.binary(), nullable=False),
            pa.field("camera", pa.string()),
            pa.field("time", pa.timestamp("us")),
            pa.field(_VECTOR, pa.list_(pa.float32(), width), nullable=False),
        ]
    )


def _entry(row: dict[str, Any]) -> Entry:
    labels = Labels(row["camera"], row["time"])
    return Entry(row["gallery"], row["name"], row["key"], labels)


def _vectors(table: Any, width: int) -> np.ndarray:
    """The embeddings of a table of Arrow, float32 [n, width]."""
    flat = table[_VECTOR].combine_chunks().flatten()
    return flat.to_numpy(zero_copy_only=False).reshape(-1, width)


def _naming(gallery: str, names: Sequence[str]) -> Iterator[str]:
    """Conditions that select these names, a thousand each."""
    for start in range(0, len(names), _IN_A_QUERY):
        listed = ", ".join(map(quoted, names[start : start + _IN_A_QUERY]))
        yield f"gallery = {quoted(gallery)} AND name IN ({listed})"
