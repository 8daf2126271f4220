"""Checks of a dataset on disk, before anything is trained on it."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.file_states import listed
from mbnet_jax.data.records import Record, Records
from mbnet_jax.files import read_bytes
from mbnet_jax.images import check_image
from mbnet_jax.parsing.maps import check_map_data
from mbnet_jax.retrieval.labels import JUNK

_SHOWN = 100  # files in a message
_TOGETHER = 8  # records that a thread takes at once
THREADS = max(4, os.cpu_count() or 1)  # more than cores: reading waits for a disk


class Content(NamedTuple):
    """The bytes of a record's files, and what is wrong with them.

    Attributes:
      image: of the image file.
      parsing: of the map's file; empty without one.
      problems: a line for each file that cannot be used, naming it.
    """

    image: bytes
    parsing: bytes
    problems: tuple[str, ...] = ()


def count_warnings(spec: DatasetSpec, records: Records, variant: str = "") -> list[str]:
    """A line for each split whose counts differ from the published ones."""
    lines = []
    counts = spec.variant_counts.get(variant, spec.counts)
    for split, (images, persons) in counts.items():
        # Junk takes no part, so whether it is there changes no figure.
        persons_of = [r.pid for r in records[split] if r.pid != JUNK]
        found = len(persons_of), len({*persons_of})
        if (images or found[0], persons or found[1]) != found:
            published = f"{images} of {persons}"
            if images is None or persons is None:
                published = f"{persons} persons" if persons else f"{images} images"
            lines.append(
                f"{spec.name} {split}: {found[0]} images of {found[1]} persons here, "
                f"{published} as published; figures will not compare"
            )
    for split, tracklets in spec.tracklet_counts.items():
        found = len({r.tracklet for r in records[split]})
        if found != tracklets:
            lines.append(
                f"{spec.name} {split}: {found} tracklets here, {tracklets} as "
                "published; figures will not compare"
            )
    return lines


def check_files(records: Records, label_set: str | None = None) -> None:
    """Decodes every image and every parsing map, as the loader does.

    Args:
      records: of the whole dataset.
      label_set: of the parsing maps. None: their labels are not checked.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: listing all files that cannot be read or decoded, or do not fit.
    """
    bad = []
    for rows in records.values():
        for content in checked_contents(rows, label_set, [False] * len(rows)):
            bad += content.problems
    refuse_bad(bad, records)


def refuse_bad(problems: Sequence[str], records: Records) -> None:
    """Raises a ValueError that lists `problems`, if there are any."""
    if not problems:
        return
    rows = [row for split in records.values() for row in split]
    files = len(rows) + sum(row.parsing_path is not None for row in rows)
    more = [f"and {len(problems) - _SHOWN} more"] * (len(problems) > _SHOWN)
    raise ValueError(
        f"{len(problems)} of {files} files cannot be used:\n  "
        + "\n  ".join([*problems[:_SHOWN], *more])
        + "\nReplace them (unpack the dataset again), or remove them."
    )


def checked_contents(
    rows: Sequence[Record], label_set: str | None, known: Sequence[bool]
) -> Iterator[Content]:
    """Reads and checks the files of each record, in their order, in threads.

    Few are read ahead, so memory does not grow with the dataset.

    Args:
      rows: the records.
      label_set: of the parsing maps. None: their labels are not checked.
      known: [n], whether the files of each are known to be sound, so that they are
        read but not decoded.

    Raises:
      FileNotFoundError: a file is missing.
    """

    def read(start: int) -> list[Content]:
        part = slice(start, start + _TOGETHER)
        pairs = zip(rows[part], known[part], strict=True)
        return [_content(row, label_set, sound) for row, sound in pairs]

    with ThreadPoolExecutor(THREADS) as pool:
        starts = range(0, len(rows), _TOGETHER)
        for contents in _ahead(pool, read, starts, 2 * THREADS):
            yield from contents


def _ahead(pool: Executor, function: Callable, values: Any, most: int) -> Iterator:
    """Like `pool.map`, but starts at most `most` calls ahead of the consumer."""
    waiting: deque = deque()
    for value in values:
        if len(waiting) == most:
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, value))
    while waiting:
        yield waiting.popleft().result()


def _content(record: Record, label_set: str | None, sound: bool) -> Content:
    image = parsing = b""
    size, problems = None, []
    path = record.path
    try:
        with listed(path):
            image = read_bytes(path)
        if not sound:
            size = check_image(image, str(path))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # both name the file
        problems.append(str(error))
    path = record.parsing_path
    if path is None:
        return Content(image, b"", tuple(problems))
    try:
        with listed(path):
            parsing = read_bytes(path)
        if not sound:
            check_map_data(parsing, label_set, str(path), size)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        problems.append(str(error))
    return Content(image, parsing, tuple(problems))
