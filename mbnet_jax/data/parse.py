"""Makes parsing maps with any segmentation model in ONNX form.

    python -m mbnet_jax.data.parse --config configs/x.py --model FILE.onnx --labels atr
        [--out DIR] [--size 512,512] [--mean ...] [--deviation ...]
        [--layout nchw|nhwc] [--batch 8]

The model takes normalised RGB images and returns class logits at any resolution. The
defaults are those of SegFormer clothes parsers. What is there already is kept, so a
run that was stopped goes on. Needs requirements-parse.txt.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict
from tqdm import tqdm

from mbnet_jax.cli import run
from mbnet_jax.data.load import images_folder
from mbnet_jax.data.loader import decode_image
from mbnet_jax.data.parsing_maps import MAPS_FILE, encode_parsing, map_path
from mbnet_jax.data.readers import read_records
from mbnet_jax.data.segmenter import Parser, ParserOptions
from mbnet_jax.files import write_whole
from mbnet_jax.preprocessing.views import DEVIATION, MEAN


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


def _numbers(texts: Sequence[str], name: str, kind: type) -> tuple:
    try:
        return tuple(kind(text) for text in texts)
    except ValueError as error:
        raise ValueError(f"--{name}={','.join(texts)}: expected numbers") from error


def main() -> None:
    """Reads the flags, and makes maps."""
    model = flags.DEFINE_string("model", "", "The ONNX file.")
    labels = flags.DEFINE_string("labels", "", "Its label set, never guessed.")
    out = flags.DEFINE_string("out", "", "Folder of the maps; data.parsing_dir.")
    size = flags.DEFINE_list("size", "512,512", "Height,width of its input.")
    mean = flags.DEFINE_list("mean", [*map(str, MEAN)], "Of RGB in 0..1.")
    deviation = flags.DEFINE_list("deviation", [*map(str, DEVIATION)], "Likewise.")
    layout = flags.DEFINE_string("layout", "nchw", "Or nhwc; of input and output.")
    batch = flags.DEFINE_integer("batch", 8, "Images at a time.")

    def parse(config: ConfigDict, workdir: Path) -> None:
        del workdir
        folder = out.value or config.data.parsing_dir
        for name, value in (
            ("model FILE.onnx", model.value),
            ("labels lip|atr|pascal|canonical", labels.value),
            ("out DIR (or --config.data.parsing_dir)", folder),
        ):
            if not value:
                raise ValueError(f"give --{name}")
        options = ParserOptions(
            Path(model.value),
            labels.value,
            _numbers(size.value, "size", int),
            _numbers(mean.value, "mean", float),
            _numbers(deviation.value, "deviation", float),
            layout.value,
            batch.value,
        )
        count = make_maps(config, options, Path(folder))
        print(
            f"made {count} maps; look at them, then train with them:\n"
            "  python -m mbnet_jax.data.preview --config ... "
            f"--config.data.parsing_dir={folder} "
            f"--config.data.parsing_labels={labels.value}"
        )

    run(parse)


if __name__ == "__main__":
    main()
