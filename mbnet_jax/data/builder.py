"""One TFDS builder for every dataset: original image bytes in ArrayRecord files.

It does not need TensorFlow: the examples are already encoded, and `as_data_source`
reads them back.
"""

import contextlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder

from mbnet_jax.data.checked import Checked
from mbnet_jax.data.checks import checked_contents, refuse_bad
from mbnet_jax.data.datasets.listing import check_regular
from mbnet_jax.data.examples import Examples, serialized
from mbnet_jax.data.file_states import FORMAT, States, digest, file_states, fingerprint
from mbnet_jax.data.records import Record, Records, names_in
from mbnet_jax.files import check_writable, delete
from mbnet_jax.locks import locked
from mbnet_jax.progress import progress

__all__ = ["ReIdBuilder", "fingerprint", "prepare"]

# What TFDS names the files that it writes into a folder that is not complete.
_WRITTEN = re.compile(
    r"(incomplete\.[0-9a-f]{32}\.)?"
    r"(reid-\w+\.array_record\S*|dataset_info\.json|features\.json)"
)
_SAMPLES = 5  # examples of each split that are compared with the records


class ReIdBuilder(FileReaderBuilder):
    """Writes records in their order: example i of a split is its record i.

    `parsing` holds the bytes of the parsing map's file; empty without a map.
    """

    name = "reid"
    VERSION = tfds.core.Version(FORMAT)

    def __init__(
        self, records: Records, root: Path, label_set: str | None = None, **kwargs
    ):
        """Takes the records to write, and the folder that names are relative to."""
        self._records = records
        self._root = root
        self._label_set = label_set
        self.checked: Checked | None = None  # what to write needs it
        self.unreadable: Exception | None = None  # why a file could not be copied
        super().__init__(file_format="array_record", **kwargs)

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

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        """Checks and writes all splits in one pass; memory does not grow with them.

        TFDS's own generator holds a split in memory, and needs TensorFlow beyond 1 GB.
        """
        del dl_manager, download_config  # nothing is downloaded
        writer = tfds.core.ExampleWriter(self.info.file_format)
        written, problems = [], []
        for split, rows in self._records.items():
            template = self._get_filename_template(split)
            sizes: list[int] = []
            writer.write(
                template.sharded_filepath(shard_index=0, num_shards=1),
                self._generate_examples(split, sizes, problems),
            )
            written.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=[len(rows)],
                    num_bytes=sum(sizes),
                    filename_template=template,
                )
            )
        try:
            refuse_bad(problems, self._records)
        except ValueError as error:
            self.unreadable = error
            raise
        self.info.set_splits(tfds.core.SplitDict(written))

    def _generate_examples(
        self, split: str, sizes: list[int], problems: list[str]
    ) -> Iterator[tuple[int, bytes]]:
        """Yields serialized examples until there is a problem; then it only checks.

        Appends to `sizes` and `problems`.
        """
        rows = self._records[split]
        names = names_in(self._root, (row.path for row in rows))
        known = self.checked.known(split)
        contents = checked_contents(rows, self._label_set, known)
        try:
            with progress(len(rows), f"preparing {split}", unit="image") as bar:
                for index, content in enumerate(contents):
                    bar.update()
                    problems += content.problems
                    if not content.problems:
                        self.checked.add(split, index)
                    if problems:
                        continue
                    row = rows[index]
                    example = serialized(
                        image=content.image,
                        parsing=content.parsing,
                        pid=row.pid,
                        camera=row.camera,
                        clothes=row.clothes,
                        name=names[index].encode(),
                    )
                    sizes.append(len(example))
                    yield index, example
        except (OSError, ValueError) as error:
            self.unreadable = error
            raise


def prepare(
    records: Records, root: Path, data_dir: Path, label_set: str | None = None
) -> dict:
    """Writes the ArrayRecord files unless they exist, and opens them.

    Their folder is named by the fingerprint, so changed images or labels are never
    served from old files. It appears once it is complete: after a kill, the next call
    starts over. If two processes start, one writes and the other waits. A
    copy that exists may be on a file system that cannot be written to.

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
    states = file_states(records, root)
    folder = data_dir / digest(records, states)
    complete = folder / ReIdBuilder.name / str(ReIdBuilder.VERSION)
    if not os.path.lexists(complete):
        check_writable(folder, "data.root must be where the copy can be written")
        with locked(folder):
            if not os.path.lexists(complete):  # another process may have been first
                _write(records, root, folder, label_set, states)
    try:
        if not complete.is_dir():
            raise NotADirectoryError(f"{complete} is not a folder")
        check_regular([*complete.iterdir()], "files", "")  # a pipe would block
        builder = ReIdBuilder(records, root, data_dir=folder)
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


def _write(
    records: Records, root: Path, folder: Path, label_set: str | None, states: States
) -> None:
    for left_over in (folder / ReIdBuilder.name).glob("*incomplete*/"):
        delete(left_over, [n for n in os.listdir(left_over) if _WRITTEN.fullmatch(n)])
    builder = ReIdBuilder(records, root, label_set, data_dir=folder)
    builder.checked = Checked(folder.parent, states, label_set)
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
    finally:
        builder.checked.save()


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
