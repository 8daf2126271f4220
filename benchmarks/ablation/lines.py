"""The folder of an ablation: its lock, the lines of its runs, and their data."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.datasets import read_records
from mbnet_jax.data.load import images_folder
from mbnet_jax.files import write_whole
from mbnet_jax.locks import locked

LINES = "lines.jsonl"


@contextlib.contextmanager
def exclusive(out: Path) -> Iterator[int]:
    """Locks `out`; yields the lock's file descriptor, which runs inherit.

    Raises:
      ValueError: if another process holds the lock.
    """
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(locked(out, wait=False))
        except BlockingIOError:
            raise ValueError(
                f"{out} is in use by another ablation, or by the last run of one that "
                "was killed; wait until it ends, or give another --out"
            ) from None
        yield lock


def fingerprint(config: ConfigDict) -> str:
    """Returns a digest of the dataset: file names, labels and file sizes.

    It does not depend on the folder that holds the data, or on other config fields.
    """
    folder = images_folder(config.data)
    records = read_records(config.data.name, folder, config.data.parsing_dir)
    digest = hashlib.sha256()
    for split, rows in records.items():
        for record in rows:
            name = os.path.relpath(record.path, folder)
            labels = (record.pid, record.camera, record.clothes)
            sizes = [
                path.stat().st_size
                for path in (record.path, record.parsing_path)
                if path is not None
            ]
            digest.update(repr((split, name, labels, sizes)).encode())
    return digest.hexdigest()[:16]


def read_lines(out: Path) -> list[dict]:
    """Returns the lines of finished runs; the last one of each row and seed.

    Raises:
      ValueError: if the file is damaged.
    """
    path = out / LINES
    found = {}
    if path.is_file():
        for number, text in enumerate(path.read_text().splitlines(), start=1):
            try:
                line = json.loads(text)
                found[line["row"], line["seed"]] = line
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}:{number} is damaged ({error}); delete that line"
                ) from error
    return list(found.values())


def append_line(out: Path, line: dict) -> None:
    """Appends a line atomically."""
    path = out / LINES
    before = path.read_text() if path.is_file() else ""
    write_whole(path, before + json.dumps(line) + "\n")
