"""Checks of a dataset on disk, before anything is trained on it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.records import Records


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
    """Decodes every image, and reads the header of every parsing map.

    Raises:
      ValueError: listing all files that are empty or cannot be decoded.
    """
    rows = [r for split in records.values() for r in split]
    images = [(r.path, True) for r in rows]
    maps = [(r.parsing_path, False) for r in rows if r.parsing_path]
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
        raise ValueError(
            f"{len(bad)} files cannot be used:\n  "
            + "\n  ".join(bad)
            + "\nReplace them (unpack the dataset again), or remove them."
        )


def _problem(path: Path, whole: bool) -> str | None:
    """What is wrong with a file; None if nothing is.

    Args:
      path: of the file.
      whole: whether to decode it, beyond reading its header.
    """
    if path.stat().st_size == 0:
        return f"{path}: empty"
    try:
        with Image.open(path) as image:
            if whole:
                # Reads every byte of a JPEG, but makes an eighth of the pixels a side.
                image.draft("RGB", (image.width // 8, image.height // 8))
                image.load()
    except UnidentifiedImageError:  # its message repeats the path
        return f"{path}: not an image"
    # Pillow raises SyntaxError for some broken PNG files.
    except (OSError, ValueError, SyntaxError) as error:
        return f"{path}: {error}"
    return None
