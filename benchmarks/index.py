"""Compares an index with exact search: equal lists, recall, time, memory and disk.

python -m benchmarks.index [--rows 100000] [--width 512] [--queries 20] [--k 20]
    [--folder DIR]

Needs requirements-index.txt. The rows are made up: persons with 20 images each, whose
embeddings lie around a direction of their own in 64 dimensions, besides noise in all;
queries are further images of persons. Four bytes a number are on disk twice: in the
index, and in a file that `top_k` reads, mapped into memory.

Seconds are of the wall clock; those in brackets are of the process's threads. Times
of a query are medians, after one that is not counted.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mbnet_jax.index.conditions import Conditions
from mbnet_jax.index.labels import Labels
from mbnet_jax.index.nearest import find_in_index
from mbnet_jax.index.table import Entry, IndexTable
from mbnet_jax.retrieval import top_k

IMAGES = 20  # of a person
DIMENSIONS, NOISE = 64, 0.6
CAMERAS = 10
GROUP = 4096
PROBES = (5, 20, 80)


def main() -> None:
    """Fills and searches; prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measure(Path(folder), arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Prints a line for each step; memory is what the process held at most so far."""
    print(f"{arguments.rows:,} rows of width {arguments.width}, k = {arguments.k}")
    make = People(arguments.width)
    table = IndexTable(os.fspath(folder / "index"), "made-up-1", arguments.width, True)
    rows = np.memmap(
        folder / "rows.f32", np.float32, "w+", shape=(arguments.rows, arguments.width)
    )
    clock = Clock()
    for start in range(0, arguments.rows, GROUP):
        numbers = np.arange(start, min(start + GROUP, arguments.rows))
        rows[numbers] = make.rows(numbers // IMAGES, seed=start)
    rows.flush()
    print(f"made up: {clock.lap()}")
    for start in range(0, arguments.rows, GROUP):
        part = range(start, min(start + GROUP, arguments.rows))
        table.add([entry(number) for number in part], rows[part.start : part.stop])
    print(f"filled: {clock.lap()}")
    table.compact()
    print(f"compacted: {clock.lap()}; {size_of(folder / 'index') / 1e9:.2f} GB on disk")
    persons = np.random.default_rng(1).integers(
        0, arguments.rows // IMAGES, arguments.queries
    )
    queries = make.rows(persons, seed=1 << 40)
    top_k(queries, rows, arguments.k)  # compiles
    clock.lap()
    _, expected = top_k(queries, rows, arguments.k)
    print(f"our exact search of all queries: {clock.lap()}")

    def search(probes: int | None, conditions: Conditions | None = None) -> list:
        return timed(
            lambda row: (
                find_in_index(
                    [Path("none")], row[None], table, arguments.k, conditions, probes
                )[0].hits
            ),
            queries,
        )

    print("\n| search | recall | a query | memory |\n|---|---|---|---|")
    line("exact", search(None), expected)
    camera = Conditions((f"c{CAMERAS - 1}",))
    own = np.arange(CAMERAS - 1, arguments.rows, CAMERAS)
    _, of_camera = top_k(queries, rows[own], arguments.k)
    line("exact, of one camera in ten", search(None, camera), own[of_camera])
    clock.lap()
    if not table.prepare_approximate():
        print("\nThe table is too small for an approximate index.")
        return
    took = f"{clock.lap()}; {size_of(folder / 'index') / 1e9:.2f} GB on disk"
    for probes in PROBES:
        line(f"approximate, {probes} parts", search(probes), expected)
    line("the same, one camera in ten", search(PROBES[-1], camera), own[of_camera])
    print(f"\nbuilt the approximate index: {took}")


class People:
    """Makes embeddings up: float32, of length 1."""

    def __init__(self, width: int):
        """Draws the directions in which persons differ; rows have `width` numbers."""
        random = np.random.default_rng(0)
        axes = random.standard_normal((DIMENSIONS, width), dtype=np.float32)
        self._axes = axes / np.sqrt(DIMENSIONS)

    def rows(self, persons: np.ndarray, seed: int) -> np.ndarray:
        """One row for each of these persons: [n, width]."""
        own, place = np.unique(persons, return_inverse=True)
        centres = np.stack(
            [
                np.random.default_rng([7, person]).standard_normal(
                    DIMENSIONS, dtype=np.float32
                )
                for person in own.tolist()
            ]
        )
        random = np.random.default_rng([8, seed])
        inside = random.standard_normal((len(persons), DIMENSIONS), dtype=np.float32)
        rows = (centres[place] + NOISE * inside) @ self._axes
        rows += 0.3 * random.standard_normal(rows.shape, dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Clock:
    """Seconds since the last lap."""

    def __init__(self):
        """Starts the first lap."""
        self._wall, self._own = time.perf_counter(), time.process_time()

    def lap(self) -> str:
        """What has passed, for people to read."""
        wall, own = time.perf_counter(), time.process_time()
        text = f"{wall - self._wall:.1f} s ({own - self._own:.1f} s)"
        self._wall, self._own = wall, own
        return text


def entry(number: int) -> Entry:
    """The row's entry; the names sort as the rows do."""
    labels = Labels(f"c{number % CAMERAS}")
    return Entry("/made-up", f"{number:010}", number.to_bytes(32, "big"), labels)


def timed(search: Callable, queries: np.ndarray) -> list:
    """For each query what was found, and the seconds of wall clock and of threads."""
    search(queries[0])
    found = []
    for row in queries:
        wall, own = time.perf_counter(), time.process_time()
        hits = search(row)
        seconds = time.perf_counter() - wall, time.process_time() - own
        found.append((hits, *seconds))
    return found


def line(name: str, found: list, expected: np.ndarray) -> None:
    """Prints a line of the table: which of the exact lists' entries were found."""
    lists = [[int(Path(hit.name).name) for hit in hits] for hits, *_ in found]
    equal = all(a == b.tolist() for a, b in zip(lists, expected, strict=True))
    common = [len({*a} & {*b.tolist()}) for a, b in zip(lists, expected, strict=True)]
    recall = "all, in order" if equal else f"{np.mean(common) / expected.shape[1]:.3f}"
    wall, own = (1000 * np.median([one[i] for one in found]) for i in (1, 2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| {name} | {recall} | {wall:.0f} ms ({own:.0f} ms) | {peak:.1f} GiB |")


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
