"""How much the camera that took an image decides what is near to it."""

import numpy as np
from scipy.stats import rankdata

from mbnet_jax.retrieval import Labels, RankedLists

NEAREST = 10  # images of others that are looked at
DRAWS = 5  # random galleries of the control


def own_camera(lists: RankedLists, query: Labels, gallery: Labels) -> dict[str, float]:
    """How often images of other people that the query's own camera took are near.

    All are means over the queries; NaN where a query's own camera took none of them.

    Args:
      lists: the whole gallery ranked under the rule "any": `correct` is who is the
        query's own person.
      query: the queries' labels.
      gallery: the gallery's.

    Returns:
      nearest: the share of the query's own camera in the `NEAREST` nearest images of
        other people, in 0..1.
      all: its share in all images of other people: what chance would give.
      ratio: of the two.
      auc: the probability that an image of another person from the query's own
        camera is nearer than one from another camera; 0.5 where cameras do not count.
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
    """P(one of the `first` is above one of the rest); half of what is equal."""
    ones, rest = int(first.sum()), int((~first).sum())
    if not ones or not rest:
        return np.nan
    return (rankdata(values)[first].sum() - ones * (ones + 1) / 2) / (ones * rest)


def _mean(values) -> float:
    """Without NaN; NaN of nothing."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else np.nan


def centred(rows: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Rows [n, d] less the mean of their camera's rows, again of length 1.

    What all images of a camera have in common is gone: light, colours, background, and
    from where people are seen, but also what its people have in common.

    Raises:
      ValueError: naming a camera of whose image nothing is left.
    """
    left = np.array(rows, np.float64)
    for number in np.unique(camera):
        left[camera == number] -= left[camera == number].mean(axis=0)
    length = np.linalg.norm(left, axis=1, keepdims=True)
    empty = length[:, 0] == 0
    if empty.any():
        raise ValueError(
            f"camera {camera[empty][0]} (from 0) has an image whose embedding is the "
            "mean of all its test images, so nothing is left without the mean"
        )
    return (left / length).astype(np.float32)


def other_cameras(query: Labels, gallery: Labels) -> np.ndarray:
    """Which gallery images another camera than the query's took, bool [Q, G]."""
    return query.camera[:, None] != gallery.camera


def as_many_removed(
    query: Labels, gallery: Labels, rng: np.random.Generator
) -> np.ndarray:
    """The control of `other_cameras`, bool [Q, G]: galleries as small by chance.

    From each query's gallery as many images of other people are removed as its own
    camera took, from whatever camera.
    """
    others = query.pid[:, None] != gallery.pid
    count = (others & ~other_cameras(query, gallery)).sum(axis=1)
    drawn = np.where(others, rng.random(others.shape), np.inf)
    place = np.argsort(np.argsort(drawn, axis=1), axis=1)
    return place >= count[:, None]


def mean_precision(lists: RankedLists, kept_QxG: np.ndarray) -> float:
    """mAP in 0..1 where each query's gallery is cut down to the images kept.

    Args:
      lists: the whole gallery ranked under the rule.
      kept_QxG: bool, in the gallery's order.
    """
    there = np.take_along_axis(kept_QxG, lists.indices, axis=1) & (lists.indices >= 0)
    hit = there & lists.correct
    precision = np.cumsum(hit, axis=1) / np.maximum(np.cumsum(there, axis=1), 1)
    count = hit.sum(axis=1)
    found = count > 0
    return _mean((precision * hit).sum(axis=1)[found] / count[found])
