"""Who is a true match of a query, and who is thrown out of its gallery.

Every rule of person re-identification agrees on other persons: they stay in
the gallery and are wrong. Rules differ only in which images of the query's own
person are junk (thrown out); the rest of that person are the true matches.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Labels(NamedTuple):
    """Labels of n images: three integer arrays [n].

    `clothes` needs to tell outfits apart only within one person.
    """

    pid: np.ndarray
    camera: np.ndarray
    clothes: np.ndarray


# rule -> junk(same_camera, same_clothes) among images of the query's person.
RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "general": lambda same_camera, same_clothes: same_camera,
    "same_clothes": lambda same_camera, same_clothes: same_camera | ~same_clothes,
    "clothes_changing": lambda same_camera, same_clothes: same_camera | same_clothes,
    # For images of unknown cameras: nothing is thrown out.
    "any": lambda same_camera, same_clothes: np.zeros_like(same_camera),
}


class Lists(NamedTuple):
    """Gallery indices per query, ascending, padded with -1 on the right."""

    indices: np.ndarray  # int32 [num_queries, width]; width 8, 16, 32...
    counts: np.ndarray  # int64 [num_queries]


def matches_and_junk(query: Labels, gallery: Labels, rule: str) -> tuple[Lists, Lists]:
    """The gallery indices of every query's true matches, and of its junk.

    The work is in proportion to the pairs of one person, not to all pairs.

    Raises:
      ValueError: the rule is unknown.
    """
    if rule not in RULES:
        raise ValueError(f"rule {rule!r} is unknown; choose from {sorted(RULES)}")
    by_person = np.argsort(gallery.pid, kind="stable")
    sorted_pid = gallery.pid[by_person]
    first = np.searchsorted(sorted_pid, query.pid, side="left")
    same_person = np.searchsorted(sorted_pid, query.pid, side="right") - first

    # All pairs of one person, query by query, gallery index ascending.
    pair_query = np.repeat(np.arange(len(query.pid)), same_person)
    start_of_query = np.cumsum(same_person) - same_person
    within = np.arange(len(pair_query)) - start_of_query[pair_query]
    pair_gallery = by_person[first[pair_query] + within]

    junk = RULES[rule](
        query.camera[pair_query] == gallery.camera[pair_gallery],
        query.clothes[pair_query] == gallery.clothes[pair_gallery],
    )
    num_queries = len(query.pid)
    return (
        _lists(pair_query[~junk], pair_gallery[~junk], num_queries),
        _lists(pair_query[junk], pair_gallery[junk], num_queries),
    )


def check_labels(name: str, labels: Labels, num_rows: int) -> Labels:
    """The labels as NumPy arrays, one integer for each of `num_rows` features.

    Raises:
      ValueError: a field is not a one-dimensional integer array of that length.
    """
    fields = []
    for field, values in zip(Labels._fields, labels, strict=True):
        values = np.asarray(values)
        if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
            raise ValueError(
                f"{name}.{field} must be an integer array [n], "
                f"got {values.dtype} {list(values.shape)}"
            )
        if len(values) != num_rows:
            raise ValueError(
                f"{name}.{field} has {len(values)} entries for {num_rows} feature rows"
            )
        fields.append(values)
    return Labels(*fields)


def _lists(row: np.ndarray, value: np.ndarray, num_rows: int) -> Lists:
    """Groups `value` by its ascending `row` into padded rows."""
    counts = np.bincount(row, minlength=num_rows)
    longest = max(int(counts.max()), 8)
    # Powers of two: few widths, hence few compilations.
    indices = np.full((num_rows, 1 << (longest - 1).bit_length()), -1, np.int32)
    start_of_row = np.cumsum(counts) - counts
    indices[row, np.arange(len(row)) - start_of_row[row]] = value
    return Lists(indices, counts)
