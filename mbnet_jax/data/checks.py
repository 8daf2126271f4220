"""Checks of a dataset on disk, before anything is trained on it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.records import Records
from mbnet_jax.files import read_bytes
from mbnet_jax.images import decode_image
from mbnet_jax.parsing.maps import read_labels

_SHOWN = 100  # files in a message


def count_warnings(spec: DatasetSpec, records: Records) -> list[str]:
    """A line for each split whose counts differ from the published ones."""
    lines = []
    for split, (images, persons) in spec.counts.items():
        found = len(records[split]), len({r.pid for r in records[split]})
        if found != (images, persons):
            lines.append(
                f"{spec.name} {split}: {found[0]} images of {found[1]} persons here, "
                f"{images} of {persons} as published; figures will not compare"
            )
    return lines


def check_files(records: Records, threads: int = 4) -> None:
    """Decodes every image and every parsing map, as the loader does.

    Raises:
      ValueError: listing all files that cannot be read or decoded.
    """
    rows = [r for split in records.values() for r in split]
    images = [(r.path, decode_image) for r in rows]
    maps = [(r.parsing_path, read_labels) for r in rows if r.parsing_path]
    with ThreadPoolExecutor(threads) as pool:
        problems = pool.map(lambda item: _problem(*item), images + maps)
        bar = tqdm(
            problems,
            total=len(images) + len(maps),
            desc="checking images",
            unit="file",
            delay=2,
        )
        bad = [problem for problem in bar if problem]
    if bad:
        shown = bad[:_SHOWN] + [f"and {len(bad) - _SHOWN} more"] * (len(bad) > _SHOWN)
        raise ValueError(
            f"{len(bad)} of {len(bar)} files cannot be used:\n  "
            + "\n  ".join(shown)
            + "\nReplace them (unpack the dataset again), or remove them."
        )


def _problem(path: Path, decode: Callable[[bytes, str], object]) -> str | None:
    """What is wrong with a file; None if nothing is."""
    try:
        decode(read_bytes(path), str(path))
    except (OSError, ValueError) as error:  # both name the file
        return str(error)
    return None
