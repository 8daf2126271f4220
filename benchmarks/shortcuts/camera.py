"""How much the camera of an image determines its nearest neighbours."""

import numpy as np
from scipy.stats import rankdata

from mbnet_jax.retrieval import Labels, RankedLists

NEAREST = 10  # neighbours of other people that count
DRAWS = 5  # random galleries of the control


def own_camera(lists: RankedLists, query: Labels, gallery: Labels) -> dict[str, float]:
    """Measures how near a query's images of other people from its own camera are.

    All values are means over the queries. Queries without such images are left out;
    the mean is NaN if none is left.

    Args:
      lists: the whole gallery ranked under the rule "any", so that `correct` marks the
        images of the query's person.
      query: the queries' labels.
      gallery: the gallery's labels.

    Returns:
      nearest: the share of the query's own camera in the `NEAREST` nearest images of
        other people, in 0..1.
      all: its share in all images of other people, which is chance level.
      ratio: nearest / all.
      auc: the probability that an image of another person from the query's own camera
        is nearer than one from another camera; 0.5 if cameras have no influence.
    """
    own_QxG = gallery.camera[lists.indices] == query.camera[:, None]
    other_QxG = ~lists.correct
    near_QxG = other_QxG & (np.cumsum(other_QxG, axis=1) <= NEAREST)
    nearest, whole = (_share(own_QxG, among) for among in (near_QxG, other_QxG))
    return {
        "nearest": nearest,
        "all": whole,
        "ratio": nearest / whole if whole else np.nan,
        "auc": _mean(
            [
                _auc(values[other], own[other])
                for values, own, other in zip(
                    lists.similarities, own_QxG, other_QxG, strict=True
                )
            ]
        ),
    }


def _share(chosen_QxG: np.ndarray, among_QxG: np.ndarray) -> float:
    counts = among_QxG.sum(axis=1)
    return _mean((chosen_QxG & among_QxG).sum(axis=1)[counts > 0] / counts[counts > 0])


def _auc(values: np.ndarray, first: np.ndarray) -> float:
    """Returns P(a value of `first` exceeds one of the rest); ties count half."""
    ones, rest = int(first.sum()), int((~first).sum())
    if not ones or not rest:
        return np.nan
    return (rankdata(values)[first].sum() - ones * (ones + 1) / 2) / (ones * rest)


def _mean(values) -> float:
    """Returns the mean without NaNs; NaN if there is no value."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else np.nan


def centred(rows: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Subtracts each camera's mean from its rows [n, d]; normalises them again.

    This removes what all images of a camera have in common: light, colours, background
    and viewpoint, but also what its people have in common.

    Raises:
      ValueError: naming the camera, if a row equals its camera's mean.
    """
    residual = np.array(rows, np.float64)
    for number in np.unique(camera):
        residual[camera == number] -= residual[camera == number].mean(axis=0)
    length = np.linalg.norm(residual, axis=1, keepdims=True)
    empty = length[:, 0] == 0
    if empty.any():
        raise ValueError(
            f"camera {camera[empty][0]} (from 0) has an image whose embedding is the "
            "mean of all its test images, so nothing is left without the mean"
        )
    return (residual / length).astype(np.float32)


def other_cameras(query: Labels, gallery: Labels) -> np.ndarray:
    """Returns which gallery images are not from the query's camera, bool [Q, G]."""
    return query.camera[:, None] != gallery.camera


def as_many_removed(
    query: Labels, gallery: Labels, rng: np.random.Generator
) -> np.ndarray:
    """Returns the control of `other_cameras`: equally small random galleries.

    From each query's gallery, images of other people are removed at random: as many as
    its own camera took.

    Returns:
      bool [Q, G], the images that are kept.
    """
    others = query.pid[:, None] != gallery.pid
    count = (others & ~other_cameras(query, gallery)).sum(axis=1)
    drawn = np.where(others, rng.random(others.shape), np.inf)
    order = np.argsort(np.argsort(drawn, axis=1), axis=1)
    return order >= count[:, None]


def mean_precision(lists: RankedLists, kept_QxG: np.ndarray) -> float:
    """Returns mAP in 0..1, with each query's gallery reduced to the kept images.

    Args:
      lists: the whole gallery ranked under the rule.
      kept_QxG: bool, in the gallery's order.
    """
    present = np.take_along_axis(kept_QxG, lists.indices, axis=1) & (lists.indices >= 0)
    hit = present & lists.correct
    precision = np.cumsum(hit, axis=1) / np.maximum(np.cumsum(present, axis=1), 1)
    count = hit.sum(axis=1)
    found = count > 0
    return _mean((precision * hit).sum(axis=1)[found] / count[found])
