"""All test images of a dataset in one row, read and embedded by their place in it."""

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
from mbnet_jax.evaluation.embed import ALL, Embedded, Embeddings
from mbnet_jax.evaluation.protocols import Protocol, usable_protocols
from mbnet_jax.models import BRANCHES
from mbnet_jax.parsing.maps import MAKE_MAPS
from mbnet_jax.retrieval import Labels

Read = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Images:
    """The test images that the protocols use, one split after the other.

    Attributes:
      data: `config.data`, which says how they are read.
      splits: by name, in the order of the places.
      protocols: those that rank the whole gallery.
      notes: what is to be said of the protocols.
    """

    data: ConfigDict
    splits: dict[str, Split]
    protocols: Sequence[Protocol]
    notes: list[str]

    @property
    def _starts(self) -> np.ndarray:
        """Where all splits but the first begin."""
        return np.cumsum([len(split) for split in self.splits.values()])[:-1]

    @property
    def labels(self) -> Labels:
        """Of all images, int32 [n] each."""
        every = [split.labels for split in self.splits.values()]
        return Labels(*map(np.concatenate, zip(*every, strict=True)))

    def read(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Image [H, W, 3] and parsing map [H, W], uint8, as evaluation reads them."""
        for split in self.splits.values():
            if place < len(split):
                example = load_example(split, place, self.data)
                return example["image"], example["parsing"]
            place -= len(split)
        raise IndexError(place)

    def as_from(self, camera: np.ndarray) -> "Images":
        """The same images, labelled with other cameras, int [n]."""
        cameras = iter(np.split(camera, self._starts))
        splits = {
            name: dataclasses.replace(split, camera=next(cameras))
            for name, split in self.splits.items()
        }
        return dataclasses.replace(self, splits=splits)

    def embedded(self, embeddings: Embeddings) -> dict[str, Embedded]:
        """The embeddings [n, d] of all images, split by split."""
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
    """The images that a run is tested on.

    Raises:
      ValueError: if the dataset does not tell cameras, or an image has no map.
    """
    data = config.data
    protocols, notes = usable_protocols(dataset.protocols, dataset.test)
    if protocols[0].rule == "any":
        raise ValueError(
            f"the dataset {data.name} does not tell which camera took an image; give "
            "runs on one that does"
        )
    protocols = [protocol for protocol in protocols if not protocol.draws]
    names = sorted({name for p in protocols for name in (p.query, p.gallery)})
    records = read_records(data.name, images_folder(data), data.parsing_dir)
    rows = [record for name in names for record in records[name]]
    missing = sum(record.parsing_path is None for record in rows)
    if missing:
        raise ValueError(
            f"{missing} of {len(rows)} test images have no parsing map, which tells "
            f"what is background; to make maps:\n  {MAKE_MAPS}"
        )
    return Images(data, {name: dataset.test[name] for name in names}, protocols, notes)


def embed_images(
    program: Callable, variables: dict, read: Read, count: int, config: ConfigDict
) -> Embeddings:
    """Embeds images 0 to `count`: name -> float32 [count, d], rows of length 1.

    `program` is what `make_embed` compiled for the config.
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
