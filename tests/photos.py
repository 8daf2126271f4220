"""Made-up photographs in a folder to search."""

import shutil
from pathlib import Path

import numpy as np
import tiny

from mbnet_jax.parsing.maps import encode_parsing

TAG = "<img src=x onerror=alert(1)>.jpg"  # the name of a file


def write_photo(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 255, (64, 32, 3), dtype=np.uint8)
    path.write_bytes(tiny.encoded(image, "PNG" if path.suffix == ".png" else "JPEG"))
    return path


def write_map(path: Path) -> Path:
    """A parsing map of the size of `write_photo`, of head, clothes and shoes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.repeat(np.array([0, 2, 4, 6, 9], np.uint8), [4, 10, 20, 20, 10])
    path.write_bytes(encode_parsing(np.repeat(labels[:, None], 32, 1)))
    return path


def make_folder(folder: Path) -> Path:
    """Seven photographs in a folder and its sub-folders, two of them the same."""
    for number, name in enumerate(
        ("a.jpg", "b.JPG", "day 1/c.png", "day 1/deep/d.jpg", f"day 2/{TAG}", "e.webp")
    ):
        write_photo(folder / name, number)
    shutil.copy(folder / "a.jpg", folder / "day 2" / "copy.jpg")
    (folder / "notes.txt").write_text("no photograph")
    (folder / ".hidden.jpg").write_bytes(b"left out")
    return folder
