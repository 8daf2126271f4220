"""All test images of a dataset as one sequence: read and embedded by index."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset, Split, read_records
from mbnet_jax.data.load import images_folder
from mbnet_jax.data.loader import load_example
from mbnet_jax.evaluation.batches import embed_batches, read_batches
from mbnet_jax.evaluation.embed import Embedded, Embeddings
from mbnet_jax.evaluation.embed_function import ALL
from mbnet_jax.evaluation.protocols import Protocol, usable_protocols
from mbnet_jax.models import BRANCHES
from mbnet_jax.parsing.maps import MAKE_MAPS
from mbnet_jax.retrieval import Labels

Read = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Images:
    """The test images that the protocols use, one split after the other.

    Attributes:
      data: `config.data`, which determines how the images are read.
      splits: the splits by name, in the order of the images.
      protocols: the protocols that rank the whole gallery.
      notes: remarks on the protocols, for the report.
    """

    data: ConfigDict
    splits: dict[str, Split]
    protocols: Sequence[Protocol]
    notes: list[str]

    @property
    def _starts(self) -> np.ndarray:
        """The indices at which all splits but the first begin."""
        return np.cumsum([len(split) for split in self.splits.values()])[:-1]

    @property
    def labels(self) -> Labels:
        """The labels of all images, int32 [n] each."""
        every = [split.labels for split in self.splits.values()]
        return Labels(*map(np.concatenate, zip(*every, strict=True)))

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads image [H, W, 3] and parsing map [H, W], uint8, as evaluation does."""
        for split in self.splits.values():
            if index < len(split):
                example = load_example(split, index, self.data)
                return example["image"], example["parsing"]
            index -= len(split)
        raise IndexError(index)

    def with_cameras(self, camera: np.ndarray) -> "Images":
        """Returns the same images with other camera labels, int [n]."""
        cameras = iter(np.split(camera, self._starts))
        splits = {
            name: dataclasses.replace(split, camera=next(cameras))
            for name, split in self.splits.items()
        }
        return dataclasses.replace(self, splits=splits)

    def embedded(self, embeddings: Embeddings) -> dict[str, Embedded]:
        """Splits the embeddings [n, d] of all images by the dataset's splits."""
        parts = {
            name: np.split(rows, self._starts) for name, rows in embeddings.items()
        }
        return {
            split: Embedded(
                images, {name: part[number] for name, part in parts.items()}
            )
            for number, (split, images) in enumerate(self.splits.items())
        }


def images_of(config: ConfigDict, dataset: Dataset) -> Images:
    """Returns the test images of a run.

    Raises:
      ValueError: if the dataset has no camera labels, or an image has no parsing map.
    """
    data = config.data
    protocols, notes = usable_protocols(dataset.protocols, dataset.test)
    if protocols[0].rule == "any":
        raise ValueError(
            f"the dataset {data.name} has no camera labels; give runs on one that has"
        )
    protocols = [protocol for protocol in protocols if not protocol.draws]
    names = sorted({name for p in protocols for name in (p.query, p.gallery)})
    records = read_records(data.name, images_folder(data), data.parsing_dir)
    rows = [record for name in names for record in records[name]]
    missing = sum(record.parsing_path is None for record in rows)
    if missing:
        raise ValueError(
            f"{missing} of {len(rows)} test images have no parsing map, which marks "
            f"the background; to make maps:\n  {MAKE_MAPS}"
        )
    return Images(data, {name: dataset.test[name] for name in names}, protocols, notes)


def embed_images(
    program: Callable, variables: dict, read: Read, count: int, config: ConfigDict
) -> Embeddings:
    """Embeds `count` images.

    Args:
      program: the function that `make_embed` compiled for the config.
      variables: the network's variables.
      read: returns image and parsing map of an index below `count`.
      count: number of images.
      config: the run's config.

    Returns:
      name -> float32 [count, d], rows of unit length.
    """
    data, devices = config.data, jax.device_count()
    size = -(-config.eval.batch_size // devices) * devices
    batches = embed_batches(
        functools.partial(program, variables),
        read_batches(read, count, (size, data.height, data.width), data.threads),
        count,
    )
    rows = [embeddings for _, embeddings in batches]
    return {
        name: np.concatenate([part[name] for part in rows])
        for name in (*BRANCHES, ALL)
        if name in rows[0]
    }
