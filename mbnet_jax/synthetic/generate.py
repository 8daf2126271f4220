"""Write a synthetic dataset: images, parsing maps and what they were made from.

Every file follows from the options alone, so workers, order and restarts make no
difference to a byte (on one machine: another NumPy or OpenCV may round otherwise).
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
from mbnet_jax.synthetic.options import SyntheticOptions
from mbnet_jax.synthetic.render import render

DONE = "dataset.json"
_BEGUN = "dataset.partial.json"
SPLITS = ("train", "query", "gallery")
_PALETTE = list(np.array(parsing.PALETTE, np.uint8).ravel())


@dataclasses.dataclass(frozen=True, order=True)
class Shot:
    """One image to make: its split and the numbers in its name, each from 1."""

    split: str
    pid: int
    outfit: int
    camera: int
    number: int

    @property
    def stem(self) -> str:
        """The file name without its ending, "PID_OUTFIT_cCAM_N"."""
        return f"{self.pid:04d}_{self.outfit}_c{self.camera}_{self.number}"


def plan(options: SyntheticOptions) -> Iterator[list[Shot]]:
    """All images of a dataset, in lists of one person in one outfit."""
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
    """Where a shot's image is."""
    return root / shot.split / f"{shot.stem}.jpg"


def parsing_path(root: Path, shot: Shot) -> Path:
    """Where a shot's parsing map is."""
    return root / "parsing" / shot.split / f"{shot.stem}.png"


def generate(
    root: Path | str,
    options: SyntheticOptions,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Make a dataset, or finish one, or find that it is there.

    Where the folder holds part of a dataset of the same options, the images already
    there are kept; a dataset of other options is deleted first. With more than one
    worker, processes are spawned: a script calls this under
    `if __name__ == "__main__":`.

    Args:
      root: the dataset's folder; it is created if need be.
      options: what to make.
      workers: processes; the number of CPUs where None, and never more than that.
      progress: whether to show a progress bar on the error stream.

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
                for made in pool.imap_unordered(make, tasks, chunksize=2):
                    bar.update(made)
    write_whole(root / DONE, json.dumps(options.record(), indent=2))
    (root / _BEGUN).unlink()
    return root


def _read(path: Path) -> dict | None:
    """The record in a JSON file; None where there is none that can be read."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def _prepare(root: Path, options: SyntheticOptions) -> None:
    """Leave in `root` nothing but images of these options, and the folders."""
    root.mkdir(parents=True, exist_ok=True)
    ours = (root / DONE).exists() or (root / _BEGUN).exists()
    if not ours and any(root.iterdir()):
        raise FileExistsError(
            f"{root} holds files that are not a synthetic dataset: give an empty or a "
            f"new folder, or delete it"
        )
    if _read(root / _BEGUN) != options.record():
        (root / DONE).unlink(missing_ok=True)
        for folder in (*SPLITS, "parsing"):
            shutil.rmtree(root / folder, ignore_errors=True)
        write_whole(root / _BEGUN, json.dumps(options.record(), indent=2))
    for part in root.rglob(f"*{PART}"):  # Of a run that was killed as it wrote.
        part.unlink()
    for split in SPLITS:
        (root / split).mkdir(exist_ok=True)
        (root / "parsing" / split).mkdir(parents=True, exist_ok=True)


def _encode_parsing(label: np.ndarray) -> bytes:
    """A palette PNG whose indices are the labels."""
    picture = Image.fromarray(label, mode="P")
    picture.putpalette(_PALETTE)
    stream = io.BytesIO()
    picture.save(stream, "png")
    return stream.getvalue()


def _make_shots(root: Path, options: SyntheticOptions, shots: list[Shot]) -> int:
    """Make what is missing of some shots; how many shots they are."""
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
