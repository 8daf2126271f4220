"""The prepared copy of a dataset: damage is repaired or refused, never served."""

import functools
import shutil
from pathlib import Path

import layouts
import numpy as np

from mbnet_jax.config import load_config
from mbnet_jax.data import load_dataset
from mbnet_jax.data.loader import load_example

from . import mutate, networks
from .case import Case, surface
from .choices import Choices


@functools.cache
def template() -> Path:
    """A prepared dataset of 16 training images and 8 others."""
    root = networks.folder() / "prepared"
    root.mkdir()
    layouts.write_manifest(root)
    loaded(root)
    return root


def _config(root: Path):
    more = ["model.branches=('global',)", "model.ktm=False", "data.validation=none"]
    more += ["data.height=64", "data.width=32", "data.threads=1"]
    return load_config("manifest", [f"data.root={root}", *more])


def loaded(root: Path) -> list[np.ndarray]:
    """Every image of the dataset, decoded."""
    config = _config(root)
    dataset = load_dataset(config)
    splits = [dataset.train, *dataset.test.values()]
    return [
        load_example(split, index, config.data)["image"]
        for split in splits
        for index in range(len(split))
    ]


@functools.cache
def expected() -> list[np.ndarray]:
    return loaded(template())


def prepare() -> None:
    expected()


@surface("prepared", share=6, seconds=40)
def prepared(c: Choices, folder: Path) -> Case:
    """A file of the prepared copy, or one it was made from, is odd."""
    root = folder / "data"
    # With the times of the files, by which the copy is found.
    shutil.copytree(template(), root)
    where = root / "prepared"
    files = sorted(path for path in where.rglob("*") if path.is_file())
    kind = c.pick(("bytes",) * 3 + ("file", "file", "gone", "image"))
    valid: bool | None = None
    path = c.pick(files)
    if kind == "bytes":
        what, data = mutate.damaged(c, path.read_bytes())
        path.write_bytes(data)
    elif kind == "file":
        what = mutate.odd_file(c, path)
    elif kind == "gone":
        path = c.pick(sorted(p for p in where.rglob("*") if p.is_dir()))
        shutil.rmtree(path)
        what, valid = "no folder", True
    else:
        path = c.pick(sorted((root / "pictures").iterdir()))
        what, valid = mutate.odd_file(c, path), False

    def check(images) -> str | None:
        same = len(images) == len(expected()) and all(
            np.array_equal(a, b) for a, b in zip(images, expected(), strict=True)
        )
        return None if same else "other images"

    return Case(
        f"{kind} {path.relative_to(root)}: {what}",
        lambda: loaded(root),
        (path.name, "prepared"),
        check,
        valid,
        writes=(where,),
        unsown=(where,),
    )
