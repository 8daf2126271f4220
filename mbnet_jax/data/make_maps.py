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
    """Makes the maps that are missing in `out`, for every image of the dataset.

    `out` mirrors the image folder; its `MAPS_FILE` records what made the maps.

    Returns:
      The number of maps made.

    Raises:
      ValueError: an image cannot be decoded, the model does not fit the options, or
        another model or other options made the maps in `out`.
    """
    folder = images_folder(config.data)
    records = read_records(config.data.name, folder)
    images = {row.path: None for rows in records.values() for row in rows}
    targets = {path: map_path(path, folder, out) for path in images}
    missing = [path for path, target in targets.items() if not target.is_file()]
    maker = _maker(options)
    _refuse_other_maker(out, maker, holds_maps=len(missing) < len(images))
    parser = Parser(options)
    with tqdm(
        total=len(images),
        initial=len(images) - len(missing),
        desc=f"parsing on {parser.provider.removesuffix('ExecutionProvider')}",
        unit="map",
    ) as bar:
        for start in range(0, len(missing), parser.batch):
            paths = missing[start : start + parser.batch]
            pictures = [decode_image(path.read_bytes(), str(path)) for path in paths]
            parsed = parser(pictures)
            if start == 0:  # the model fits, so that maps follow
                out.mkdir(parents=True, exist_ok=True)
                write_whole(out / MAPS_FILE, json.dumps(maker, indent=2) + "\n")
            for path, labels in zip(paths, parsed, strict=True):
                targets[path].parent.mkdir(parents=True, exist_ok=True)
                write_whole(targets[path], encode_parsing(labels))
            bar.update(len(paths))
    return len(missing)


def _maker(options: ParserOptions) -> dict:
    return {
        "labels": options.labels,
        "model": hashlib.sha256(options.model.read_bytes()).hexdigest(),
        "size": list(options.size),
        "mean": list(options.mean),
        "std": list(options.std),
        "layout": options.layout,
    }


def _refuse_other_maker(out: Path, maker: dict, holds_maps: bool) -> None:
    """Refuses a folder whose maps another maker made, so that maps never mix."""
    path = out / MAPS_FILE
    if path.is_file():
        saved = json.loads(path.read_text())
        if "deviation" in saved:  # the name of "std" in earlier versions
            saved["std"] = saved.pop("deviation")
        differing = [key for key in maker if saved.get(key) != maker[key]]
        if not differing:
            return
        how = f"with another {', '.join(differing)}"
    elif holds_maps:
        how = "by another program"
    else:
        return
    raise ValueError(
        f"{out} holds maps that were made {how}: give another --out, or delete it"
    )
