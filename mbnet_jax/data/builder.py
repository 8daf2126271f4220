"""One TFDS builder for every dataset: original image bytes in ArrayRecord files.

It does not need TensorFlow: the examples are already encoded, and `as_data_source`
reads them back.
"""

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from mbnet_jax.data.checks import check_files
from mbnet_jax.data.datasets.listing import check_regular
from mbnet_jax.data.examples import Examples
from mbnet_jax.data.records import UNKNOWN, Record, Records
from mbnet_jax.files import check_writable, delete, read_bytes
from mbnet_jax.locks import locked
from mbnet_jax.progress import progress

# What TFDS names the files that it writes into a folder that is not complete.
_WRITTEN = re.compile(
    r"(incomplete\.[0-9a-f]{32}\.)?"
    r"(reid-\w+\.array_record\S*|dataset_info\.json|features\.json)"
)
_SAMPLES = 5  # examples of each split that are compared with the records


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
        self.unreadable: Exception | None = None  # why a file could not be copied
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
        with progress(len(records), f"writing {split}", unit="image") as bar:
            for index, record in enumerate(records):
                yield index, self._example(record)
                bar.update()

    def _example(self, record: Record) -> dict:
        parsing = record.parsing_path
        try:
            with _listed(record.path):
                image = read_bytes(record.path)
            with _listed(parsing):
                labels = read_bytes(parsing) if parsing else b""
        except (OSError, ValueError) as error:
            self.unreadable = error
            raise
        return {
            "image": io.BytesIO(image),
            "parsing": labels,
            "pid": record.pid,
            "camera": record.camera,
            "clothes": record.clothes,
            "name": os.path.relpath(record.path, self._root),
        }


def fingerprint(records: Records, root: Path) -> str:
    """Digest of the files' names, labels, sizes and modification times.

    Raises:
      FileNotFoundError: a file is no longer there.
    """
    digest = hashlib.sha256(str(ReIdBuilder.VERSION).encode())
    for split, rows in records.items():
        for record in rows:
            files = [
                (os.path.relpath(path, root), stat.st_size, stat.st_mtime_ns)
                for path in (record.path, record.parsing_path)
                if path is not None
                for stat in (_stat(path),)
            ]
            labels = (record.pid, record.camera, record.clothes)
            if record.tracklet != UNKNOWN:
                labels += (record.tracklet,)
            digest.update(repr((split, labels, files)).encode())
    return digest.hexdigest()[:16]


def _stat(path: Path) -> os.stat_result:
    with _listed(path):
        return path.stat()


@contextlib.contextmanager
def _listed(path: Path | None) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} was listed, but is missing now; start again once no other program "
            "changes the dataset"
        ) from error


def prepare(
    records: Records, root: Path, data_dir: Path, label_set: str | None = None
) -> dict:
    """Writes the ArrayRecord files unless they exist, and opens them.

    Their folder is named by the fingerprint, so changed images or labels are never
    served from old files. It appears once it is complete: after a kill, the next call
    starts over. Of two processes, one writes and the other waits. A copy that exists
    may be on a file system that cannot be written to.

    Args:
      records: of the whole dataset.
      root: the folder that names are relative to.
      data_dir: the folder to write into.
      label_set: of the parsing maps. None: their labels are not checked.

    Returns:
      Split -> data source, which maps index i to the undecoded example of record i.

    Raises:
      ValueError: images or maps cannot be decoded, or the copy is damaged. The
        message lists the images, or names the folder.
      OSError: the copy cannot be written, or an image vanished. The message names it.
    """
    folder = data_dir / fingerprint(records, root)
    complete = folder / ReIdBuilder.name / str(ReIdBuilder.VERSION)
    if not os.path.lexists(complete):
        check_writable(folder, "data.root must be where the copy can be written")
        with locked(folder):
            if not os.path.lexists(complete):  # another process may have been first
                _write(records, root, folder, label_set)
    try:
        if not complete.is_dir():
            raise NotADirectoryError(f"{complete} is no folder")
        check_regular([*complete.iterdir()], "files", "")  # a pipe would block
        builder = _builder(records, root, folder)
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        sources = {
            split: Examples(builder.as_data_source(split, deserialize_method=raw))
            for split in records
        }
        for split, rows in records.items():
            _check_source(split, sources[split], rows, root)
    except MemoryError:  # not the copy's fault
        raise
    except Exception as error:  # TFDS and ArrayRecord raise of every class
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise ValueError(
            f"the prepared copy in {folder} is damaged ({reason}); delete {folder} to "
            "prepare it again"
        ) from error
    return sources


def _builder(records: Records, root: Path, folder: Path) -> ReIdBuilder:
    return ReIdBuilder(records, root, data_dir=folder, file_format="array_record")


def _write(records: Records, root: Path, folder: Path, label_set: str | None) -> None:
    for left_over in (folder / ReIdBuilder.name).glob("*incomplete*/"):
        delete(left_over, [n for n in os.listdir(left_over) if _WRITTEN.fullmatch(n)])
    check_files(records, label_set=label_set)
    builder = _builder(records, root, folder)
    # TFDS would show three bars per split and messages about downloads. The generator
    # has its own bar.
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    except Exception as error:  # the writer of ArrayRecord raises no class of its own
        if builder.unreadable:
            raise builder.unreadable from None
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise OSError(
            f"the prepared copy in {folder} cannot be written ({reason}); make room on "
            "its disk, and start again"
        ) from error


def _check_source(split: str, source, rows: Sequence[Record], root: Path) -> None:
    """Refuses a copy of another number of records, or of others.

    Single records that cannot be read are left to the loader.
    """
    if len(source) != len(rows):
        raise ValueError(f"{split} has {len(source)} records instead of {len(rows)}")
    unreadable = None
    places = {*np.linspace(0, len(rows) - 1, _SAMPLES).astype(int).tolist()}
    for place in places:
        name = os.path.relpath(rows[place].path, root)
        try:
            found = source[place]["name"].decode()
        except Exception as error:  # ArrayRecord raises no class of its own
            unreadable = error
            places = places - {place}
            continue
        if found != name:
            raise ValueError(f"record {place} of {split} is {found} instead of {name}")
    if not places:
        raise unreadable
