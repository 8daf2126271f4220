"""Calls of the retrieval functions with right arguments, but for some."""

import numpy as np
from retrieval_reference import random_features, random_labels

from mbnet_jax.retrieval import (
    ranked_lists,
    rerank,
    retrieval_metrics,
    similarity_histograms,
    top_k,
    verification,
)

RNG = np.random.default_rng(0)
QUERY, GALLERY = (random_features(RNG, "random", n, 4) for n in (3, 6))
QUERY_LABELS, GALLERY_LABELS = (random_labels(RNG, n, 2) for n in (3, 6))
RERANKING = rerank(QUERY, GALLERY, k1=3, k2=2)


def call(name: str, **changes):
    """Calls a function with right arguments, except for `changes`."""
    features = {"query": QUERY, "gallery": GALLERY}
    labels = {"query_labels": QUERY_LABELS, "gallery_labels": GALLERY_LABELS}
    function, usual = {
        "top_k": (top_k, features | {"k": 2}),
        "rerank": (rerank, features | {"k1": 3, "k2": 2}),
        "metrics": (retrieval_metrics, features | labels),
        "lists": (ranked_lists, features | labels | {"k": 2}),
        "histograms": (similarity_histograms, features | labels),
        "verification": (verification, features | labels),
    }[name]
    return function(**usual | changes)
