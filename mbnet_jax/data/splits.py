"""Splits of labelled images, and the images kept for validation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mbnet_jax.data.records import UNKNOWN, Identifiers, Record, keeping_all, names_in
from mbnet_jax.retrieval import RULES, Labels
from mbnet_jax.retrieval.labels import JUNK, matches_and_junk


class Frames(NamedTuple):
    """The images of a split whose rows are tracklets.

    Attributes:
      images: the frames of all tracklets.
      of_row: for each row, the indices of its frames in `images`, int [frames].
    """

    images: "Split"
    of_row: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Split:
    """The labelled images of one split, or its tracklets (`tracklets.by_tracklet`).

    The row of a tracklet has the name and the position of its middle frame.

    Attributes:
      pid, camera, clothes: int32 [n].
      names: file names, relative to the dataset's root.
      positions: int [n]; image i is `source[positions[i]]`.
      source: the builder's data source of undecoded examples.
      own: the labels as the dataset writes them; () where that is not known.
      tracklet: int32 [n]; unless given, all `UNKNOWN`.
      frames: the images of the tracklets; None if each row is an image.
      root: the folder that names are relative to; None where it is not known.
    """

    pid: np.ndarray
    camera: np.ndarray
    clothes: np.ndarray
    names: tuple[str, ...]
    positions: np.ndarray
    source: Any
    own: tuple[Identifiers, ...] = ()
    tracklet: np.ndarray | None = None
    frames: Frames | None = None
    root: Path | None = None

    def __post_init__(self):
        """Fills in the tracklets."""
        if self.tracklet is None:
            unknown = np.full(len(self.pid), UNKNOWN, np.int32)
            object.__setattr__(self, "tracklet", unknown)  # the class is frozen

    def __len__(self) -> int:
        """Number of rows: of images, or of tracklets."""
        return len(self.pid)

    @property
    def number_of_images(self) -> int:
        """How many images there are, those of tracklets included."""
        return sum(map(len, self.frames.of_row)) if self.frames else len(self)

    @property
    def unit(self) -> str:
        """What a row is: "images" or "tracklets"."""
        return "tracklets" if self.frames else "images"

    @property
    def labels(self) -> Labels:
        """The labels that evaluation rules compare."""
        tracklet = {"tracklet": self.tracklet} if "tracklet" in self.known else {}
        return Labels(self.pid, self.camera, self.clothes, **tracklet)

    @property
    def known(self) -> frozenset[str]:
        """Which of "camera", "clothes" and "tracklet" are labelled."""
        return frozenset(
            field
            for field in ("camera", "clothes", "tracklet")
            if (getattr(self, field) != UNKNOWN).all()
        )

    def example(self, index: int) -> dict[str, Any]:
        """The undecoded example of image `index`."""
        return self.source[int(self.positions[index])]

    def shown(self, index: int) -> Identifiers:
        """The labels of image `index` as its dataset writes them, else their numbers.

        Cameras are counted from 1 as in datasets; what is unlabelled is "unknown".
        """
        own = self.own[index] if self.own else Identifiers()
        camera, clothes = self.camera[index], self.clothes[index]
        return Identifiers(
            own.person or str(self.pid[index]),
            "unknown" if camera == UNKNOWN else own.camera or str(camera + 1),
            "unknown" if clothes == UNKNOWN else own.clothes or str(clothes),
        )

    def subset(self, indices: np.ndarray) -> "Split":
        """The images `indices`, in that order, with unchanged labels."""
        return Split(
            self.pid[indices],
            self.camera[indices],
            self.clothes[indices],
            tuple(self.names[i] for i in indices),
            self.positions[indices],
            self.source,
            tuple(self.own[i] for i in indices) if self.own else (),
            self.tracklet[indices],
            self.frames
            and self.frames._replace(
                of_row=tuple(self.frames.of_row[i] for i in indices)
            ),
            self.root,
        )

    def of_people(self) -> "Split":
        """The images that show somebody."""
        junk = self.pid == JUNK
        return self.subset(np.flatnonzero(~junk)) if junk.any() else self

    def relabelled(self) -> "Split":
        """The same images with `pid` and known `clothes` contiguous from 0."""

        def renumbered(values: np.ndarray) -> np.ndarray:
            return np.unique(values, return_inverse=True)[1].astype(np.int32)

        clothes, known = self.clothes.copy(), self.clothes != UNKNOWN
        clothes[known] = renumbered(clothes[known])
        return replace(self, pid=renumbered(self.pid), clothes=clothes)


@keeping_all()
def make_split(records: Sequence[Record], source, root: Path) -> Split:
    """Joins records with the data source that `builder.prepare` returned for them."""
    columns = {
        field: np.array([getattr(r, field) for r in records], np.int32)
        for field in ("pid", "camera", "clothes", "tracklet")
    }
    names = tuple(names_in(root, (r.path for r in records)))
    return Split(
        **columns,
        names=names,
        positions=np.arange(len(names)),
        source=source,
        own=tuple(r.own for r in records),
        root=root,
    )


@dataclass(frozen=True)
class Validation:
    """The images that select the best checkpoint.

    Attributes:
      images: all of them.
      query: int [q], indices into `images`.
      gallery: int [g], indices into `images`.
      rule: the hardest rule that the labels allow, a key of `retrieval.RULES`.
    """

    images: Split
    query: np.ndarray
    gallery: np.ndarray
    rule: str


def make_validation(images: Split) -> Validation:
    """Makes a retrieval problem: one query per (person, camera, clothes).

    With cameras, the gallery is every image: every rule removes the query's own image,
    which has the query's person and camera. Without cameras, the gallery is every
    image that is not a query.

    Raises:
      ValueError: no query has a true match.
    """
    cells = np.stack([images.pid, images.camera, images.clothes], axis=1)
    query = np.sort(np.unique(cells, axis=0, return_index=True)[1])
    gallery = np.arange(len(images))
    hardest_first = ("clothes_changing", "general")
    rules = [rule for rule in hardest_first if RULES[rule].needs <= images.known]
    if not rules:
        rules = ["any"]
        gallery = np.setdiff1d(gallery, query)
    for rule in rules:
        labels = (images.subset(indices).labels for indices in (query, gallery))
        if len(gallery) and matches_and_junk(*labels, rule)[0].counts.any():
            return Validation(images, query, gallery, rule)
    raise ValueError(
        f"among the images of the {len(np.unique(images.pid))} persons for validation, "
        f"no query has a true match under the rule {rules[-1]}; hold out more persons "
        "(data.validation_fraction) or none (data.validation=none)"
    )


def hold_out_identities(
    train: Split, fraction: float, seed: int
) -> tuple[Split, Split]:
    """Splits the identities at random.

    Args:
      train: all training images.
      fraction: of the identities to hold out, in 0..1.
      seed: of the random choice.

    Returns:
      The images to train on, relabelled, and those of the identities held out.

    Raises:
      ValueError: fewer than two identities on either side, which is neither a
        retrieval problem nor a classification problem.
    """
    identities = np.unique(train.pid)
    count = number_held_out(len(identities), fraction)
    held_out = np.random.default_rng(seed).permutation(identities)[:count]
    is_held_out = np.isin(train.pid, held_out)
    rest = train.subset(np.flatnonzero(~is_held_out)).relabelled()
    return rest, train.subset(np.flatnonzero(is_held_out))


def number_held_out(identities: int, fraction: float) -> int:
    """How many of the training identities `fraction` holds out.

    Raises:
      ValueError: if fewer than two are on either side.
    """
    count = round(identities * fraction)
    if count < 2 or identities - count < 2:
        raise ValueError(
            f"data.validation_fraction={fraction} holds out {count} of {identities} "
            "training identities; at least 2 must be held out, and at least 2 must "
            "remain"
        )
    return count
