"""Writes a synthetic dataset: images, parsing maps and the options they came from.

Every file depends on the options alone: the number of workers, their order and
restarts do not change a byte. Other versions of NumPy or OpenCV may round differently.
"""

import dataclasses
import functools
import io
import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from mbnet_jax.files import PART, write_whole
from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic.options import VERSION, SyntheticOptions
from mbnet_jax.synthetic.render import render

DONE = "dataset.json"
_UNFINISHED = "dataset.partial.json"
SPLITS = ("train", "query", "gallery")
_PALETTE = list(np.array(parsing.PALETTE, np.uint8).ravel())


@dataclasses.dataclass(frozen=True, order=True)
class Shot:
    """One image of the dataset: its split, and the numbers in its name, from 1."""

    split: str
    pid: int
    outfit: int
    camera: int
    number: int

    @property
    def stem(self) -> str:
        """File name without its extension, "PID_OUTFIT_cCAMERA_NUMBER"."""
        return f"{self.pid:04d}_{self.outfit}_c{self.camera}_{self.number}"


def plan(options: SyntheticOptions) -> Iterator[list[Shot]]:
    """Yields all images of a dataset, in lists of one person in one outfit."""
    people = options.train_identities + options.test_identities
    for pid in range(1, people + 1):
        train = pid <= options.train_identities
        images = options.train_images if train else options.test_images
        for outfit in range(1, options.outfits + 1):
            shots = []
            for camera in range(1, options.cameras + 1):
                for number in range(1, images + 1):
                    test = "query" if number == 1 else "gallery"
                    split = "train" if train else test
                    shots.append(Shot(split, pid, outfit, camera, number))
            yield shots


def image_path(root: Path, shot: Shot) -> Path:
    """Returns the path of a shot's image."""
    return root / shot.split / f"{shot.stem}.jpg"


def parsing_path(root: Path, shot: Shot) -> Path:
    """Returns the path of a shot's parsing map."""
    return root / "parsing" / shot.split / f"{shot.stem}.png"


def generate(
    root: Path | str,
    options: SyntheticOptions,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Generates a dataset in `root`, unless it exists already.

    An unfinished dataset of the same options is completed, keeping its images; a
    dataset of other options is deleted first. Several workers are spawned processes,
    so a script must call this under `if __name__ == "__main__":`.

    Args:
      root: the dataset's folder; it is created if need be.
      options: size and seed of the dataset.
      workers: number of processes, at most the number of CPUs; None for that number.
      progress: whether to show a progress bar on stderr.

    Returns:
      `root` as a path.

    Raises:
      ValueError: if `workers` is not positive.
      FileExistsError: if `root` holds files that are not a synthetic dataset.
    """
    root = Path(root)
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if _read(root / DONE) == options.record():
        return root
    _prepare(root, options)

    tasks = list(plan(options))
    cpus = (
        len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    )
    workers = min(workers or cpus, cpus, len(tasks))
    total = sum(map(len, tasks))
    make = functools.partial(_make_shots, root, options)
    with tqdm(total=total, desc="synthetic", unit="image", disable=not progress) as bar:
        if workers == 1:
            for shots in tasks:
                bar.update(make(shots))
        else:
            # Spawned, not forked: the parent may hold JAX's threads.
            context = multiprocessing.get_context("spawn")
            with context.Pool(workers, cv2.setNumThreads, (1,)) as pool:
                for count in pool.imap_unordered(make, tasks, chunksize=2):
                    bar.update(count)
    write_whole(root / DONE, json.dumps(options.record(), indent=2))
    (root / _UNFINISHED).unlink()
    return root


def read_options(root: Path) -> SyntheticOptions:
    """Returns the options of the dataset in `root`.

    Raises:
      FileNotFoundError: if `root` holds no complete dataset.
      ValueError: if another version of the generator made it.
    """
    path = root / DONE
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: {root} holds no complete synthetic dataset; "
            "generate it"
        )
    record = json.loads(path.read_text())
    if record["version"] != VERSION:
        raise ValueError(
            f"{path} was made by version {record['version']} of the generator, this is "
            f"version {VERSION}: generate the dataset again"
        )
    return SyntheticOptions(**record["options"])


def _read(path: Path) -> dict | None:
    """Returns the record in a JSON file; None if it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def _prepare(root: Path, options: SyntheticOptions) -> None:
    """Creates the folders, and deletes everything that other options made."""
    root.mkdir(parents=True, exist_ok=True)
    ours = (root / DONE).exists() or (root / _UNFINISHED).exists()
    if not ours and any(root.iterdir()):
        raise FileExistsError(
            f"{root} holds files that are not a synthetic dataset: give an empty or "
            f"new folder, or delete it"
        )
    if _read(root / _UNFINISHED) != options.record():
        (root / DONE).unlink(missing_ok=True)
        for folder in (*SPLITS, "parsing"):
            shutil.rmtree(root / folder, ignore_errors=True)
        write_whole(root / _UNFINISHED, json.dumps(options.record(), indent=2))
    for part in root.rglob(f"*{PART}"):  # Left by a run killed while writing.
        part.unlink()
    for split in SPLITS:
        (root / split).mkdir(exist_ok=True)
        (root / "parsing" / split).mkdir(parents=True, exist_ok=True)


def _encode_parsing(label: np.ndarray) -> bytes:
    """Encodes labels as a PNG with a palette, whose indices are the labels."""
    picture = Image.fromarray(label, mode="P")
    picture.putpalette(_PALETTE)
    stream = io.BytesIO()
    picture.save(stream, "png")
    return stream.getvalue()


def _make_shots(root: Path, options: SyntheticOptions, shots: list[Shot]) -> int:
    """Renders and writes the missing files of some shots; returns their number."""
    for shot in shots:
        image_file, parsing_file = image_path(root, shot), parsing_path(root, shot)
        if image_file.exists() and parsing_file.exists():
            continue
        image, label, quality = render(
            options, shot.pid, shot.outfit, shot.camera, shot.number
        )
        flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
        _, data = cv2.imencode(".jpg", image[..., ::-1], flags)
        write_whole(parsing_file, _encode_parsing(label))
        write_whole(image_file, data.tobytes())
    return len(shots)
