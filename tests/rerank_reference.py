"""The dense k-reciprocal re-ranking of Zhong et al. in float64, as ground truth."""

import numpy as np


def squared_distances(query, gallery, metric):
    """[N, N] over queries and gallery together, computed from differences."""
    rows = np.concatenate([query, gallery]).astype(np.float64)
    if metric == "cosine":
        rows = rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return np.stack([np.square(rows - row).sum(axis=1) for row in rows])


def smallest_gap(distances, cuts=None):
    """The smallest gap between consecutive distances of a ranking.

    It is relative to the greatest distance. `cuts` are lengths of lists; with them only
    the gaps at the ends of these lists count. If the gap is not far above the rounding
    of float32, another order is equally right, and so are results that follow from it.
    """
    ascending = np.sort(distances, axis=1)
    gaps = np.diff(ascending, axis=1) / ascending[:, -1:]
    return (gaps if cuts is None else gaps[:, np.array(cuts) - 1]).min()


def rerank(query, gallery, k1=20, k2=6, lambda_value=0.3, metric="cosine"):
    """Final distances [Q, G]."""
    raw = squared_distances(query, gallery, metric)
    return rerank_distances(raw, len(query), k1, k2, lambda_value)


def rerank_distances(raw, num_queries, k1=20, k2=6, lambda_value=0.3):
    """Final distances [Q, G] from squared distances [N, N]."""
    num_images = len(raw)
    distance = raw / raw.max(axis=1, keepdims=True)
    ranked_by = distance.copy()
    np.fill_diagonal(ranked_by, -1)
    ranking = np.argsort(ranked_by, axis=1, kind="stable")

    def reciprocal(image, k):
        forward = ranking[image, : k + 1]
        return forward[(ranking[forward, : k + 1] == image).any(axis=1)]

    weights = np.zeros((num_images, num_images))
    half = int(np.around(k1 / 2))
    for image in range(num_images):
        own = reciprocal(image, k1)
        joined = own
        for candidate in own:
            candidates = reciprocal(candidate, half)
            if len(np.intersect1d(candidates, own)) > 2 / 3 * len(candidates):
                joined = np.append(joined, candidates)
        joined = np.unique(joined)
        weight = np.exp(-distance[image, joined])
        weights[image, joined] = weight / weight.sum()
    if k2 > 1:
        weights = weights[ranking[:, :k2]].mean(axis=1)
    shared = np.stack(
        [
            np.minimum(row, weights[num_queries:]).sum(axis=1)
            for row in weights[:num_queries]
        ]
    )
    jaccard = 1 - shared / (2 - shared)
    original = distance[:num_queries, num_queries:]
    return (1 - lambda_value) * jaccard + lambda_value * original
