"""One TFDS builder for every dataset: original image bytes in ArrayRecord files.

TensorFlow is not needed: the examples are already encoded, and the files are
read back through `as_data_source`.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from mbnet_jax.data.records import Record

Records = dict[str, list[Record]]


class ReIdBuilder(tfds.core.GeneratorBasedBuilder):
    """Writes records as they come: example i of a split is its record i."""

    name = "reid"
    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, records: Records, root: Path, **kwargs):
        """Takes the records to write; names are kept relative to `root`."""
        self._records = records
        self._root = root
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        number = np.int32
        return tfds.core.DatasetInfo(
            builder=self,
            description="Person images with identity, camera, clothes, parsing map.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "parsing": tfds.features.Image(shape=(None, None, 1)),
                    "pid": number,
                    "camera": number,
                    "clothes": number,
                    "name": tfds.features.Text(),
                }
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        del dl_manager  # nothing is downloaded
        return {
            split: self._generate_examples(records)
            for split, records in self._records.items()
        }

    def _generate_examples(self, records: list[Record]) -> Iterator[tuple[int, dict]]:
        bar = tqdm(records, desc="writing records", unit="image", delay=2)
        for number, record in enumerate(bar):
            yield (
                number,
                {
                    "image": io.BytesIO(record.path.read_bytes()),
                    "parsing": io.BytesIO(record.parsing_path.read_bytes()),
                    "pid": record.pid,
                    "camera": record.camera,
                    "clothes": record.clothes,
                    "name": os.path.relpath(record.path, self._root),
                },
            )


def fingerprint(records: Records, root: Path) -> str:
    """Digest of what the files hold: names, labels, sizes and times of change."""
    digest = hashlib.sha256(str(ReIdBuilder.VERSION).encode())
    for split, rows in records.items():
        for record in rows:
            stats = [
                (path.stat().st_size, path.stat().st_mtime_ns)
                for path in (record.path, record.parsing_path)
            ]
            name = os.path.relpath(record.path, root)
            labels = (record.pid, record.camera, record.clothes)
            digest.update(repr((split, name, labels, stats)).encode())
    return digest.hexdigest()[:16]


def prepare(records: Records, root: Path, data_dir: Path) -> dict:
    """Writes the ArrayRecord files unless they are there: split -> data source.

    The folder is named by the fingerprint, so changed images or labels are
    never served from old files. A data source maps index i to the undecoded
    example of record i.
    """
    builder = ReIdBuilder(
        records,
        root,
        data_dir=data_dir / fingerprint(records, root),
        file_format="array_record",
    )
    # Its bars would count each split three times over, and its messages tell of
    # downloads; the generator above has a bar.
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    undecoded = {key: tfds.decode.SkipDecoding() for key in ("image", "parsing")}
    return {
        split: builder.as_data_source(split, decoders=undecoded) for split in records
    }
