"""To be deleted: what ranking.nearest and features.take_rows will do."""

import numpy as np


def take_rows(features, indices):
    """float32 [n, D] rows."""
    return np.asarray(features)[indices].astype(np.float32)


def nearest(
    query, gallery, k, *, metric="cosine", mesh=None, junk=None, reranking=None
):
    """Values descending, indices, lowest."""
    query, gallery = (np.asarray(x, np.float32) for x in (query, gallery))
    if metric == "cosine":
        query, gallery = (
            x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery)
        )
    square = np.einsum("nd,nd->n", gallery, gallery)
    values, indices, lowest = [], [], []
    for start in range(0, len(query), 256):
        rows = query[start : start + 256]
        value = rows @ gallery.T
        if metric == "euclidean":
            own = np.einsum("nd,nd->n", rows, rows)
            value = 2 * value - own[:, None] - square
        if k < len(gallery) and value.size > 2**20:
            index = np.sort(np.argpartition(-value, k, axis=1)[:, :k], axis=1)
        else:
            index = np.broadcast_to(np.arange(len(gallery)), value.shape)
        kept = np.take_along_axis(value, index, axis=1)
        order = np.argsort(-kept, axis=1, kind="stable")[:, :k]
        values.append(np.take_along_axis(kept, order, axis=1))
        indices.append(np.take_along_axis(index, order, axis=1).astype(np.int32))
        lowest.append(value.min(axis=1))
    return tuple(map(np.concatenate, (values, indices, lowest)))
