"""New backgrounds for images, taken from others, and how alike images are."""

import numpy as np

from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.retrieval import Labels


def choose_donors(labels: Labels, same: bool, rng: np.random.Generator) -> np.ndarray:
    """For each image one of another person, as int [n].

    `same`: from the same camera; else from any other one.

    Raises:
      ValueError: if there is none.
    """
    donors = np.empty(len(labels.pid), int)
    for place, (pid, camera) in enumerate(zip(*labels[:2], strict=True)):
        fits = (labels.pid != pid) & ((labels.camera == camera) == same)
        if not fits.any():
            raise ValueError(
                f"camera {camera} (from 0) took person {pid}, and "
                f"{'it' if same else 'another camera'} took nobody else: there is no "
                "background to exchange"
            )
        donors[place] = rng.choice(np.flatnonzero(fits))
    return donors


def share_of_own_camera(labels: Labels) -> np.ndarray:
    """Of the other people's images, what share is of an image's camera, float [n]."""
    other = labels.pid[:, None] != labels.pid
    own = labels.camera[:, None] == labels.camera
    return (other & own).sum(axis=1) / other.sum(axis=1)


def paste(
    image: np.ndarray, parsing: np.ndarray, donor: np.ndarray, donor_map: np.ndarray
) -> np.ndarray:
    """The image with the donor's background around its person, uint8 [H, W, 3].

    Where the donor has its own person there, the mean colour of the donor's
    background in that row of pixels, or of all of it if the row has none. An image is
    left as it is if its map shows nobody, or the donor's no background.

    Args:
      image, donor: uint8 [H, W, 3].
      parsing, donor_map: uint8 [H, W], canonical labels.
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
    """Mean cosine of pairs of images, of rows [n, d] of length 1; NaN of no pair.

    A group's pairs sum up to the square of its rows' sum, so no pair is looked at.
    What an image has with itself is in each sum, and cancels out.
    """
    rows = np.asarray(rows, np.float64)
    pid, camera, clothes = labels

    def pairs(*fields: np.ndarray) -> np.ndarray:
        """Sum of the cosines and number of pairs that agree in the fields."""
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
    """Mean cosine of row i with row i of the others, all [n, d] of length 1."""
    return float(np.einsum("nd,nd->n", rows, others).mean())
