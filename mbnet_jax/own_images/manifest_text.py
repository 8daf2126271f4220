"""The text of a manifest of own images, with the names that their owner gave."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from mbnet_jax.own_images.pattern import Labels

_SPLITS = ("train", "query", "gallery")


def manifest_text(
    splits: Mapping[str, str],
    labels: Mapping[str, Labels],
    folder: Path,
    root: Path,
    maps: Mapping[str, Path],
) -> str:
    """Returns the CSV, sorted by split and name.

    Paths are relative to `root` if the images are in it, or else absolute.

    Args:
      splits: image, relative to `folder` -> its split.
      labels: image -> person, camera and clothes; "" where unknown.
      folder: of the images, absolute.
      root: the folder of the manifest, absolute.
      maps: image -> parsing map, absolute; empty for maps that the config names.
    """
    known = [
        field
        for field in ("camera", "clothes")
        if any(getattr(labels[n], field) for n in splits)
    ]
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["path", "pid", "split", *known, *(["parsing"] if maps else [])])
    for name in sorted(splits, key=lambda name: (_SPLITS.index(splits[name]), name)):
        path = folder / name
        row = [
            path.relative_to(root) if path.is_relative_to(root) else path,
            labels[name].person,
            splits[name],
            *(getattr(labels[name], field) for field in known),
        ]
        rows.writerow([*row, maps[name]] if maps else row)
    return file.getvalue()
