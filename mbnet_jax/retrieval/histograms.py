"""Histograms of the similarities of true and of false pairs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.retrieval.arguments import Features
from mbnet_jax.retrieval.binned_pairs import count_pairs
from mbnet_jax.retrieval.labels import Labels

BINS = 2000  # of equal width, from -1 to 1


class Histograms(NamedTuple):
    """Number of pairs with a cosine similarity in each bin, int64 [BINS].

    Bin i starts at -1 + 2 i / BINS; the last bin includes 1.
    """

    true: np.ndarray
    false: np.ndarray


def similarity_histograms(
    query: Features,
    query_labels: Labels,
    gallery: Features,
    gallery_labels: Labels,
    *,
    rule: str = "general",
    mesh: Mesh | None = None,
) -> Histograms:
    """Counts the pairs that the rule keeps, by cosine similarity.

    A true pair is a query and one of its true matches, a false pair a query and an
    image of another person. Queries without a true match are left out, as from the
    metrics. Arguments and errors are as in `retrieval_metrics`. One block of
    similarities is held at a time.
    """
    true, false = count_pairs(
        query,
        query_labels,
        gallery,
        gallery_labels,
        rule=rule,
        mesh=mesh,
        bins_of=_bins,
        bins=BINS,
        unmatched=False,
    )
    return Histograms(true, false)


def _bins(value: jax.Array) -> jax.Array:
    finite = jnp.where(value > -jnp.inf, value, 0)  # padding, which is not counted
    return jnp.floor((finite + 1) * (BINS / 2)).clip(0, BINS - 1).astype(int)
