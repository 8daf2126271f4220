"""One TFDS builder for every dataset: original image bytes in ArrayRecord files.

It does not need TensorFlow: the examples are already encoded, and `as_data_source`
reads them back.
"""

import contextlib
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from mbnet_jax.data.checks import check_files
from mbnet_jax.data.records import Record, Records
from mbnet_jax.files import locked


class ReIdBuilder(tfds.core.GeneratorBasedBuilder):
    """Writes records in their order: example i of a split is its record i.

    `parsing` holds the bytes of the parsing map's file; empty without a map.
    """

    name = "reid"
    VERSION = tfds.core.Version("2.0.0")

    def __init__(self, records: Records, root: Path, **kwargs):
        """Takes the records to write, and the folder that names are relative to."""
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
                    "parsing": tfds.features.Text(),
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
            split: self._generate_examples(split, records)
            for split, records in self._records.items()
        }

    def _generate_examples(
        self, split: str, records: list[Record]
    ) -> Iterator[tuple[int, dict]]:
        bar = tqdm(records, desc=f"writing {split}", unit="image", delay=2)
        for index, record in enumerate(bar):
            parsing = record.parsing_path
            yield (
                index,
                {
                    "image": io.BytesIO(record.path.read_bytes()),
                    "parsing": parsing.read_bytes() if parsing else b"",
                    "pid": record.pid,
                    "camera": record.camera,
                    "clothes": record.clothes,
                    "name": os.path.relpath(record.path, self._root),
                },
            )


def fingerprint(records: Records, root: Path) -> str:
    """Digest of the files' names, labels, sizes and modification times."""
    digest = hashlib.sha256(str(ReIdBuilder.VERSION).encode())
    for split, rows in records.items():
        for record in rows:
            files = [
                (os.path.relpath(path, root), stat.st_size, stat.st_mtime_ns)
                for path in (record.path, record.parsing_path)
                if path is not None
                for stat in (path.stat(),)
            ]
            labels = (record.pid, record.camera, record.clothes)
            digest.update(repr((split, labels, files)).encode())
    return digest.hexdigest()[:16]


def prepare(records: Records, root: Path, data_dir: Path) -> dict:
    """Writes the ArrayRecord files unless they exist, and opens them.

    Their folder is named by the fingerprint, so changed images or labels are never
    served from old files. It appears once it is complete: after a kill, the next call
    starts over.

    Args:
      records: of the whole dataset.
      root: the folder that names are relative to.
      data_dir: the folder to write into.

    Returns:
      Split -> data source, which maps index i to the undecoded example of record i.

    Raises:
      ValueError: images cannot be decoded. The message lists them all.
    """
    folder = data_dir / fingerprint(records, root)
    with locked(folder):
        builder = ReIdBuilder(
            records, root, data_dir=folder, file_format="array_record"
        )
        if not builder.data_path.exists():
            for left_over in folder.glob("*/*incomplete*"):
                shutil.rmtree(left_over)
            check_files(records)
            # TFDS would show three bars per split and messages about downloads. The
            # generator above has its own bar.
            tfds.disable_progress_bar()
            with contextlib.redirect_stdout(io.StringIO()):
                builder.download_and_prepare()
    undecoded = {"image": tfds.decode.SkipDecoding()}
    return {
        split: builder.as_data_source(split, decoders=undecoded) for split in records
    }
