"""Validation on the queries and the gallery that a dataset has for it."""

from itertools import pairwise

import numpy as np

from mbnet_jax.data.chained import Chained
from mbnet_jax.data.splits import Split, Validation
from mbnet_jax.retrieval.labels import get_rule, matches_and_junk

QUERY, GALLERY = "val_query", "val_gallery"  # the splits, as readers name them


def own_validation(query: Split, gallery: Split, rule: str) -> Validation:
    """The dataset's own retrieval problem: its queries against its gallery.

    Args:
      query, gallery: with labels that are numbered together.
      rule: a key of `retrieval.RULES`.

    Raises:
      ValueError: the rule needs labels that the splits lack, or no query has a true
        match.
    """
    missing = get_rule(rule).needs - (query.known & gallery.known)
    if missing:
        raise ValueError(
            f"data.validation=own ranks the splits {QUERY} and {GALLERY} under the "
            f"rule {rule}, which needs labels of {', '.join(sorted(missing))}; set "
            "held_out or none"
        )
    if not matches_and_junk(query.labels, gallery.labels, rule)[0].counts.any():
        raise ValueError(
            f"no query of the split {QUERY} has a true match in {GALLERY} under the "
            f"rule {rule}; set data.validation=held_out or none"
        )
    both = (query, gallery)
    columns = {
        label: np.concatenate([getattr(split, label) for split in both])
        for label in ("pid", "camera", "clothes", "tracklet")
    }
    images = Split(
        **columns,
        names=query.names + gallery.names,
        positions=np.arange(len(query) + len(gallery)),
        source=Chained(both),
        own=query.own + gallery.own,
    )
    ends = np.cumsum([0, len(query), len(gallery)])
    first, second = (np.arange(start, end) for start, end in pairwise(ends))
    return Validation(images, first, second, rule)
