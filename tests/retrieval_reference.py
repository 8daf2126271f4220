"""A plain NumPy ranking by stable argsort, one query at a time, as ground truth.

Also the features and labels that the tests use.
"""

import numpy as np

from mbnet_jax.retrieval import Labels


def angles(degrees):
    """Features whose similarity to the angle 0 falls as the angle grows."""
    radians = np.deg2rad(np.asarray(degrees, np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def random_labels(rng, size, people=6):
    return Labels(
        # Only the rule "junk_out" treats person -1 as junk.
        pid=rng.integers(-1, people, size),
        camera=rng.integers(0, 4, size),
        clothes=rng.integers(0, 3, size),
        tracklet=rng.integers(0, 2, size),
    )


def random_features(rng, kind, size, width=16):
    if kind == "random":
        return rng.standard_normal((size, width)).astype(np.float32)
    if kind == "duplicated":  # products are inexact, yet equal rows must tie
        few = np.random.default_rng(5).standard_normal((5, width))
        return few.astype(np.float32)[rng.integers(0, 5, size)]
    # Four entries of 1 or -1: products are exact, and most tie.
    features = np.zeros((size, width), np.float32)
    for row in features:
        row[rng.choice(width, 4, replace=False)] = rng.choice([-1, 1], 4)
    return features


def similarities(query, gallery):
    """float64 cosine similarities; equal rows give equal values."""
    query = query.astype(np.float64)
    gallery = gallery.astype(np.float64)
    query = query / np.sqrt((query * query).sum(axis=1, keepdims=True))
    gallery = gallery / np.sqrt((gallery * gallery).sum(axis=1, keepdims=True))
    # Not a matrix product, whose order of additions depends on the position.
    return np.stack([(row * gallery).sum(axis=1) for row in query])


def keep_and_match(q, query_labels, gallery_labels, rule):
    """For query q: bool [num_gallery], which items are kept, and which are matches."""
    person = gallery_labels.pid == query_labels.pid[q]
    camera = gallery_labels.camera == query_labels.camera[q]
    clothes = gallery_labels.clothes == query_labels.clothes[q]
    tracklet = gallery_labels.tracklet == query_labels.tracklet[q]
    if rule == "general":
        return ~(person & camera), person & ~camera
    if rule == "clothes_changing":
        return ~(person & (camera | clothes)), person & ~camera & ~clothes
    if rule == "same_clothes":
        return ~(person & (camera | ~clothes)), person & ~camera & clothes
    if rule == "same_tracklet_out":
        return ~(person & tracklet), person & ~tracklet
    if rule == "junk_out":
        nobody = gallery_labels.pid == -1
        return ~nobody & ~(person & camera), ~nobody & person & ~camera
    if rule == "any":
        return np.ones_like(person), person
    if rule == "same_view":  # not in RULES: the tests add it
        return ~(person & camera & clothes), person & ~(camera & clothes)
    raise AssertionError(rule)


def ranking(q, similarity, query_labels, gallery_labels, rule):
    """Kept gallery indices, nearest first, and whether each is a true match."""
    keep, match = keep_and_match(q, query_labels, gallery_labels, rule)
    order = np.argsort(-similarity[q], kind="stable")
    order = order[keep[order]]
    return order, match[order]


def metrics(similarity, query_labels, gallery_labels, rule, ranks):
    """mAP, mINP, cmc, AP per query, first match rank per query."""
    num_queries = len(similarity)
    ap = np.full(num_queries, np.nan)
    inp = np.full(num_queries, np.nan)
    first = np.zeros(num_queries, int)
    for q in range(num_queries):
        _, hit = ranking(q, similarity, query_labels, gallery_labels, rule)
        if not hit.any():
            continue
        hit_ranks = np.flatnonzero(hit) + 1
        ap[q] = np.mean([hit[:rank].mean() for rank in hit_ranks])
        inp[q] = hit.sum() / hit_ranks[-1]
        first[q] = hit_ranks[0]
    valid = first > 0
    if not valid.any():
        return np.nan, np.nan, dict.fromkeys(ranks, np.nan), ap, first
    cmc = {k: np.mean(first[valid] <= k) for k in ranks}
    return np.mean(ap[valid]), np.mean(inp[valid]), cmc, ap, first
