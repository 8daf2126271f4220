"""Tracklets in place of their frames: a split with one row per tracklet."""

from dataclasses import replace

import numpy as np

from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.data.splits import Frames, Split


def by_tracklet(images: Split) -> Split:
    """The tracklets of a split, in the order in which their first frames come.

    The row of a tracklet has the labels of its frames, and the name and position of
    the middle one: of frames 0 to n - 1, frame n // 2.

    Raises:
      ValueError: an image has no tracklet, or a tracklet's frames differ in person,
        camera or clothes. The message names images.
    """
    unknown = np.flatnonzero(images.tracklet == UNKNOWN)
    if len(unknown):
        raise ValueError(
            f"{len(unknown)} of {len(images)} images have no tracklet, first "
            f"{images.names[unknown[0]]}; label all, or rank images "
            "(by_tracklet=False in the dataset's file)"
        )
    _, first, row = np.unique(images.tracklet, return_index=True, return_inverse=True)
    for label in ("pid", "camera", "clothes"):
        values = getattr(images, label)
        differs = np.flatnonzero(values != values[first[row]])
        if len(differs):
            one, other = images.names[first[row[differs[0]]]], images.names[differs[0]]
            what = "person" if label == "pid" else label
            raise ValueError(
                f"{one} and {other} are of one tracklet, but not of the same {what}; "
                "correct their labels"
            )
    by_row = np.split(np.argsort(row, kind="stable"), np.cumsum(np.bincount(row))[:-1])
    frames = [by_row[i] for i in np.argsort(first)]
    middle = np.array([of_row[len(of_row) // 2] for of_row in frames])
    return replace(images.subset(middle), frames=Frames(images, tuple(frames)))
