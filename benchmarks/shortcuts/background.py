"""Replacing the backgrounds of images, and mean cosine similarities of images."""

import numpy as np

from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.retrieval import Labels


def choose_donors(labels: Labels, same: bool, rng: np.random.Generator) -> np.ndarray:
    """Draws, for each image, the index of an image of another person, int [n].

    Args:
      labels: the images' labels.
      same: whether the donor is from the same camera, or from any other one.
      rng: draws the donors.

    Raises:
      ValueError: if an image has no possible donor.
    """
    donors = np.empty(len(labels.pid), int)
    for index, (pid, camera) in enumerate(zip(*labels[:2], strict=True)):
        fits = (labels.pid != pid) & ((labels.camera == camera) == same)
        if not fits.any():
            raise ValueError(
                f"camera {camera} (from 0) took person {pid}, and "
                f"{'it' if same else 'another camera'} took nobody else, so no other "
                "person's background is available"
            )
        donors[index] = rng.choice(np.flatnonzero(fits))
    return donors


def share_of_own_camera(labels: Labels) -> np.ndarray:
    """Returns the share of each image's camera in other people's images, float [n]."""
    other = labels.pid[:, None] != labels.pid
    own = labels.camera[:, None] == labels.camera
    return (other & own).sum(axis=1) / other.sum(axis=1)


def paste(
    image: np.ndarray, parsing: np.ndarray, donor: np.ndarray, donor_map: np.ndarray
) -> np.ndarray:
    """Replaces the background of an image by the donor's.

    Pixels where the donor shows its own person get the mean colour of the donor's
    background in that row, or in the whole image if the row has no background. The
    image is unchanged if its map shows nobody, or the donor's map has no background.

    Args:
      image, donor: uint8 [H, W, 3].
      parsing, donor_map: uint8 [H, W], canonical labels.

    Returns:
      uint8 [H, W, 3].
    """
    free = donor_map == BACKGROUND
    if not free.any() or (parsing == BACKGROUND).all():
        return image
    count = free.sum(axis=1, keepdims=True)
    total = (donor * free[..., None]).sum(axis=1, dtype=np.int64)
    mean = np.where(
        count > 0, total / np.maximum(count, 1), total.sum(axis=0) / count.sum()
    )
    filled = np.where(free[..., None], donor, np.rint(mean)[:, None]).astype(np.uint8)
    return np.where((parsing == BACKGROUND)[..., None], filled, image)


def cosines_between(rows: np.ndarray, labels: Labels) -> dict[str, float]:
    """Returns the mean cosine of three kinds of image pairs; NaN if there is no pair.

    No pair is enumerated: the cosines of a group's pairs sum to the squared norm of the
    sum of its rows. The pairs of an image with itself cancel out.

    Args:
      rows: float [n, d], unit length.
      labels: the images' labels.
    """
    rows = np.asarray(rows, np.float64)
    pid, camera, clothes = labels[:3]

    def pairs(*fields: np.ndarray) -> np.ndarray:
        """Returns sum of cosines and number of the pairs that agree in the fields."""
        key = np.stack(fields or (np.zeros_like(pid),), axis=1)
        group = np.unique(key, axis=0, return_inverse=True)[1].ravel()
        sums = np.zeros((group.max() + 1, rows.shape[1]))
        np.add.at(sums, group, rows)
        return np.array([(sums**2).sum(), (np.bincount(group) ** 2).sum()])

    person, at_camera = pairs(pid), pairs(pid, camera)
    kinds = {
        "changed": person
        - pairs(pid, clothes)
        - at_camera
        + pairs(pid, clothes, camera),
        "other_same_camera": pairs(camera) - at_camera,
        "other_other_camera": pairs() - person - pairs(camera) + at_camera,
    }
    return {
        name: float(total / number) if number else np.nan
        for name, (total, number) in kinds.items()
    }


def cosine_with(rows: np.ndarray, others: np.ndarray) -> float:
    """Returns the mean cosine of rows i of two arrays [n, d] of unit length."""
    return float(np.einsum("nd,nd->n", rows, others).mean())
