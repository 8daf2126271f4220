"""Labels, and the rules that decide which gallery images are scored for a query.

All rules agree on images of other people: they stay in the gallery, and are wrong.
Rules differ in which images of the query's own person are junk, i.e. removed from
that query's gallery. The person's remaining images are the true matches.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mbnet_jax.refusals import shown
from mbnet_jax.retrieval.arguments import array_of, is_whole
from mbnet_jax.retrieval.blocks import power_of_two

_MAX_LABEL = np.iinfo(np.int64).max
LABELS = frozenset({"camera", "clothes", "tracklet"})  # that a rule may need
JUNK = -1  # the person of images that show nobody, in datasets that mark such images
_NO_LABELS = np.zeros(0, np.int64)


class Labels(NamedTuple):
    """Labels of n images: integer arrays [n].

    `clothes` only needs to distinguish the outfits of one person, and `tracklet` the
    tracklets of one person. Without tracklets, `tracklet` is empty.
    """

    pid: np.ndarray
    camera: np.ndarray
    clothes: np.ndarray
    tracklet: np.ndarray = _NO_LABELS


class Same(NamedTuple):
    """What a query and a gallery image of its person have in common: bool [n], by pair.

    `tracklet` is False where tracklets are not labelled.
    """

    camera: np.ndarray
    clothes: np.ndarray
    tracklet: np.ndarray


class Rule(NamedTuple):
    """Defines the gallery images that are junk.

    Attributes:
      junk: a function of `Same`, which has an entry per pair of a query and a gallery
        image of the same person. Returns a bool array [n], True where the gallery
        image is junk.
      needs: the labels that `junk` compares, of `LABELS`. Protocols with this rule are
        skipped for datasets without these labels.
      discards: persons whose gallery images are junk for every query.
    """

    junk: Callable[[Same], np.ndarray]
    needs: frozenset[str]
    discards: frozenset[int] = frozenset()


# By name. Add an entry to evaluate under a rule of your own.
RULES: dict[str, Rule] = {
    "general": Rule(junk=lambda same: same.camera, needs=frozenset({"camera"})),
    "same_clothes": Rule(
        junk=lambda same: same.camera | ~same.clothes,
        needs=frozenset({"camera", "clothes"}),
    ),
    "clothes_changing": Rule(
        junk=lambda same: same.camera | same.clothes,
        needs=frozenset({"camera", "clothes"}),
    ),
    # DeepChange: the same camera in another tracklet is a true match.
    "same_tracklet_out": Rule(
        junk=lambda same: same.tracklet, needs=frozenset({"tracklet"})
    ),
    # Market-1501: general, and boxes around nobody are in no gallery.
    "junk_out": Rule(
        junk=lambda same: same.camera,
        needs=frozenset({"camera"}),
        discards=frozenset({JUNK}),
    ),
    # For images without camera labels: nothing is junk.
    "any": Rule(junk=lambda same: np.zeros_like(same.camera), needs=frozenset()),
}


def get_rule(name: str) -> Rule:
    """Returns `RULES[name]`.

    Raises:
      ValueError: the rule is unknown, and the message lists the known ones; or the
        entry of `RULES` is no rule.
    """
    if not isinstance(name, str) or name not in RULES:
        raise ValueError(
            f"rule {shown(name)} is unknown; choose from {sorted(map(str, RULES))}"
        )
    rule = RULES[name]
    if not isinstance(rule, Rule) or not callable(rule.junk):
        raise ValueError(
            f"RULES[{name!r}] must be Rule(junk=a function, needs=a set), "
            f"got {shown(rule)}"
        )
    if not isinstance(rule.needs, frozenset | set) or not rule.needs <= LABELS:
        raise ValueError(
            f"needs of rule {name!r} must be a set with any of {sorted(LABELS)}, "
            f"got {shown(rule.needs)}"
        )
    if not isinstance(rule.discards, frozenset | set) or not all(
        map(is_whole, rule.discards)
    ):
        raise ValueError(
            f"discards of rule {name!r} must be a set of persons' numbers, got "
            f"{shown(rule.discards)}"
        )
    return rule


class Lists(NamedTuple):
    """One list of gallery indices per query, ascending, padded with -1 on the right."""

    indices: np.ndarray  # int32 [num_queries, width]; width 8, 16, 32...
    counts: np.ndarray  # int64 [num_queries]

    def rows(self, queries: np.ndarray, size: int) -> np.ndarray:
        """The lists of `queries`, then empty lists: int32 [size, width]."""
        padding = ((0, size - len(queries)), (0, 0))
        return np.pad(self.indices[queries], padding, constant_values=-1)


def matches_and_junk(query: Labels, gallery: Labels, rule: str) -> tuple[Lists, Lists]:
    """Returns the gallery indices of each query's true matches, and of its junk.

    Time and memory are proportional to the pairs of one person, not to all pairs.

    Raises:
      ValueError: the rule is unknown, or needs tracklets that are not labelled, or its
        `junk` fails, or returns no bool array [n].
    """
    is_junk, needs, discards = get_rule(rule)
    has_tracklets = len(query.tracklet) > 0 and len(gallery.tracklet) > 0
    if "tracklet" in needs and not has_tracklets:
        raise ValueError(
            f"rule {rule!r} compares tracklets, and the labels have none; give "
            "Labels(pid, camera, clothes, tracklet)"
        )
    by_person = np.argsort(gallery.pid, kind="stable")
    sorted_pid = gallery.pid[by_person]
    first = np.searchsorted(sorted_pid, query.pid, side="left")
    same_person = np.searchsorted(sorted_pid, query.pid, side="right") - first

    # All pairs of one person, query by query, gallery index ascending.
    pair_query = np.repeat(np.arange(len(query.pid)), same_person)
    start_of_query = np.cumsum(same_person) - same_person
    within = np.arange(len(pair_query)) - start_of_query[pair_query]
    pair_gallery = by_person[first[pair_query] + within]

    def same(label: str) -> np.ndarray:
        of_query, of_gallery = getattr(query, label), getattr(gallery, label)
        return of_query[pair_query] == of_gallery[pair_gallery]

    nothing = np.zeros(len(pair_query), bool)
    in_common = Same(
        same("camera"), same("clothes"), same("tracklet") if has_tracklets else nothing
    )
    try:
        junk = is_junk(in_common)
    except Exception as error:  # a rule may be anybody's function
        raise ValueError(
            f"junk of rule {rule!r} failed: {type(error).__name__}: {error}; correct it"
        ) from error
    junk = array_of(f"what junk of rule {rule!r} returns", junk)
    if junk.shape != pair_query.shape or junk.dtype != bool:
        raise ValueError(
            f"junk of rule {rule!r} must return a bool array {list(pair_query.shape)}, "
            f"got {junk.dtype} {list(junk.shape)}"
        )
    num_queries = len(query.pid)
    discarded = np.isin(gallery.pid, [*discards])
    kept = ~junk & ~discarded[pair_gallery]
    matches = _lists(pair_query[kept], pair_gallery[kept], num_queries)
    junk &= ~discarded[pair_gallery]
    pair_query, pair_gallery = pair_query[junk], pair_gallery[junk]
    if discarded.any():
        pair_query, pair_gallery = _with_all(
            pair_query, pair_gallery, num_queries, np.flatnonzero(discarded)
        )
    return matches, _lists(pair_query, pair_gallery, num_queries)


def _with_all(
    pair_query: np.ndarray,
    pair_gallery: np.ndarray,
    num_queries: int,
    added: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs and those of every query with `added`, in ascending order."""
    every = np.repeat(np.arange(num_queries), len(added))
    pair_query = np.concatenate([pair_query, every])
    pair_gallery = np.concatenate([pair_gallery, np.tile(added, num_queries)])
    order = np.lexsort((pair_gallery, pair_query))
    return pair_query[order], pair_gallery[order]


def check_labels(name: str, labels: Labels, num_rows: int | None = None) -> Labels:
    """Returns the labels as int64 arrays.

    Args:
      name: what error messages call them.
      labels: three sequences of integers.
      num_rows: the number of feature rows that they belong to; None: as many as there
        are labels, at least one.

    Raises:
      ValueError: they are not `Labels`, or a field is not a one-dimensional integer
        array of that length.
    """
    if not isinstance(labels, Labels):
        raise ValueError(
            f"{name} must be Labels(pid, camera, clothes), got {shown(labels)}"
        )
    fields = []
    for field, given in zip(Labels._fields, labels, strict=True):
        full = f"{name}.{field}"
        values = array_of(full, given)
        if field == "tracklet" and values.shape == (0,):
            continue  # not labelled
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise ValueError(
                f"{full} must be an integer array [n], got {shown(values)}"
            )
        if values.dtype == np.uint64 and values.size and values.max() > _MAX_LABEL:
            raise ValueError(
                f"{full} holds {values.max()}, beyond int64; give smaller numbers"
            )
        if num_rows is None and not len(values):
            raise ValueError(f"{full} is empty; give at least one image")
        rows = f"{num_rows} feature rows"
        if num_rows is None and fields:
            num_rows, rows = len(fields[0]), f"{len(fields[0])} of {name}.pid"
        if num_rows is not None and len(values) != num_rows:
            raise ValueError(
                f"{full} has {len(values)} entries for {rows}; give as many"
            )
        fields.append(values.astype(np.int64))
    return Labels(*fields)


def _lists(row: np.ndarray, value: np.ndarray, num_rows: int) -> Lists:
    """Groups `value` by its ascending `row` into padded lists."""
    counts = np.bincount(row, minlength=num_rows)
    # Powers of two: few widths, hence few compilations.
    width = power_of_two(int(counts.max()), 8)
    indices = np.full((num_rows, width), -1, np.int32)
    start_of_row = np.cumsum(counts) - counts
    indices[row, np.arange(len(row)) - start_of_row[row]] = value
    return Lists(indices, counts)
