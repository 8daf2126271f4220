"""Makes the parsing maps of a dataset with a segmentation model."""

import hashlib
import json
from pathlib import Path

from ml_collections import ConfigDict
from tqdm import tqdm

from mbnet_jax.data.datasets import read_records
from mbnet_jax.data.load import images_folder
from mbnet_jax.files import write_whole
from mbnet_jax.images import decode_image
from mbnet_jax.parsing.maps import MAPS_FILE, encode_parsing, map_path
from mbnet_jax.parsing.segmenter import Parser, ParserOptions


def make_maps(config: ConfigDict, options: ParserOptions, out: Path) -> int:
    """Makes the maps that lack in `out` for all images of the config's dataset.

    `out` mirrors the image folder, and says in `MAPS_FILE` what made the maps.

    Returns:
      How many maps were made.

    Raises:
      ValueError: for an unreadable image, a model that does not fit the options, or
        maps in `out` that another model or other options made.
    """
    folder = images_folder(config.data)
    records = read_records(config.data.name, folder)
    images = {row.path: None for rows in records.values() for row in rows}
    targets = {path: map_path(path, folder, out) for path in images}
    lacking = [path for path, target in targets.items() if not target.is_file()]
    made_by = _made_by(options)
    _refuse_others(out, made_by, holds_maps=len(lacking) < len(images))
    parser = Parser(options)
    with tqdm(
        total=len(images),
        initial=len(images) - len(lacking),
        desc=f"parsing on {parser.provider.removesuffix('ExecutionProvider')}",
        unit="map",
    ) as bar:
        for start in range(0, len(lacking), parser.batch):
            paths = lacking[start : start + parser.batch]
            pictures = [decode_image(path.read_bytes(), str(path)) for path in paths]
            found = parser(pictures)
            if start == 0:  # the model fits: say whose the maps are
                out.mkdir(parents=True, exist_ok=True)
                write_whole(out / MAPS_FILE, json.dumps(made_by, indent=2) + "\n")
            for path, labels in zip(paths, found, strict=True):
                targets[path].parent.mkdir(parents=True, exist_ok=True)
                write_whole(targets[path], encode_parsing(labels))
            bar.update(len(paths))
    return len(lacking)


def _made_by(options: ParserOptions) -> dict:
    return {
        "labels": options.labels,
        "model": hashlib.sha256(options.model.read_bytes()).hexdigest(),
        "size": list(options.size),
        "mean": list(options.mean),
        "deviation": list(options.deviation),
        "layout": options.layout,
    }


def _refuse_others(out: Path, made_by: dict, holds_maps: bool) -> None:
    """Refuses a folder of maps that something else made: sets must not mix."""
    path = out / MAPS_FILE
    if path.is_file():
        saved = json.loads(path.read_text())
        other = [key for key in made_by if saved.get(key) != made_by[key]]
        made = f"with another {', '.join(other)}"
    else:
        other, made = holds_maps, "by another program"
    if other:
        raise ValueError(
            f"{out} holds maps that were made {made}: give another --out, or delete it"
        )
