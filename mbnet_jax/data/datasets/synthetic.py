"""The embedded dataset: generated on first use by `mbnet_jax.synthetic`."""

import hashlib
import json
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.datasets.reading import found_in_name, list_images, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.records import Records
from mbnet_jax.synthetic import SyntheticOptions, generate

PATTERN = r"(?P<pid>\d+)_(?P<outfit>\d+)_c(?P<camera>\d+)_(?P<number>\d+)\.jpg"


def read_synthetic(folder: Path) -> Records:
    """Reads `{train,query,gallery}/PID_OUTFIT_cCAM_N.jpg` and maps in `parsing/`."""
    return number(
        {
            split: [
                found_in_name(path, m, folder / "parsing" / split / f"{path.stem}.png")
                for path, m in list_images(
                    folder / split, PATTERN, example="0001_2_c3_4.jpg"
                )
            ]
            for split in ("train", "query", "gallery")
        }
    )


def generate_folder(data: ConfigDict) -> Path:
    """Generates the images of `data.synthetic` unless they exist; returns their folder.

    Each set of options has a folder of its own, since `generate` refuses one that
    holds a dataset of other options.
    """
    options = SyntheticOptions(**data.synthetic)
    text = json.dumps(options.record()["options"], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return generate(Path(data.root) / "synthetic" / digest, options)


SPEC = DatasetSpec(name="synthetic", read=read_synthetic, make_folder=generate_folder)
