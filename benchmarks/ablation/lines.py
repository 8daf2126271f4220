"""The folder of an ablation: its lock, its lines, and the data that they are about."""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.datasets import read_records
from mbnet_jax.data.load import images_folder
from mbnet_jax.files import write_whole

LINES = "lines.jsonl"


@contextlib.contextmanager
def alone(out: Path) -> Iterator[int]:
    """Holds `out`, as a file that a run inherits.

    Raises:
      ValueError: if another has it.
    """
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{out} is in use by another ablation, or by the last run of one that "
                "was killed; wait for its end, or give another --out"
            ) from None
        yield lock.fileno()


def fingerprint(config: ConfigDict) -> str:
    """Digest of the dataset's names, labels and sizes of files, wherever it lies."""
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
    """The lines of finished runs, of each row and seed the last.

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
    """Adds a line, all of it or nothing."""
    path = out / LINES
    before = path.read_text() if path.is_file() else ""
    write_whole(path, before + json.dumps(line) + "\n")
