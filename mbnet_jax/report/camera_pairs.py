"""The scores of a report by camera of the query and camera of the gallery."""

from collections.abc import Mapping

import jax
import numpy as np

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import Embedded, main_embedding
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import query_and_galleries
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.report.lists import labels_of
from mbnet_jax.retrieval import retrieval_metrics

MOST_CAMERAS = 12  # of the table's rows, and of its columns
SHADES = 8  # of the table's cells; classes of report.css


def camera_pairs(
    protocol: Protocol, embedded: Mapping[str, Embedded], seed: int
) -> dict | None:
    """Returns mAP by pair of cameras under a protocol, of the main embedding.

    A cell ranks, for each query of one camera, the images of one other camera, and no
    others. With several draws, the gallery is the first. If there are too many cameras,
    the table has those with the most queries and the most gallery images.

    Returns:
      `rows` with a title, a number of queries and cells; a cell has `value`, in 0..1,
      `queries`, those with a true match, and `shade`, 0 to `SHADES`; a pair without a
      true match is None. Further entries say what the table is of. None if the cameras
      are unknown, or either side has one camera.
    """
    query, (gallery, *_) = query_and_galleries(embedded, protocol, seed)
    if not all("camera" in part.split.known for part in (query, gallery)):
        return None
    rows, columns = _most_frequent(query), _most_frequent(gallery)
    if min(len(rows), len(columns)) < 2:
        return None
    name = main_embedding(query.embeddings)
    mesh = make_mesh(jax.local_devices())  # a single process writes the report
    precision = np.stack(
        [
            _precision(query, gallery.subset(of_camera), name, protocol.rule, mesh)
            for of_camera in columns.values()
        ],
        axis=1,
    )
    means = {
        camera: [_mean(values) for values in precision[indices].T]
        for camera, indices in rows.items()
    }
    highest = max(
        (cell["value"] for row in means.values() for cell in row if cell), default=0
    )
    for cell in (cell for row in means.values() for cell in row if cell):
        cell["shade"] = round(SHADES * cell["value"] / max(highest, 1e-9))
    return {
        "title": protocol.title,
        "embedding": title_of(name),
        "unit": query.split.unit,
        "draws": protocol.draws,
        "columns": [
            {"title": _title(gallery, indices), "count": len(indices)}
            for indices in columns.values()
        ],
        "rows": [
            {
                "title": _title(query, rows[camera]),
                "count": len(rows[camera]),
                "cells": cells,
            }
            for camera, cells in means.items()
        ],
        "cameras": [len(np.unique(part.split.camera)) for part in (query, gallery)],
    }


def _most_frequent(side: Embedded) -> dict[int, np.ndarray]:
    """Camera -> indices of its images, of at most `MOST_CAMERAS`, ascending."""
    cameras, counts = np.unique(side.split.camera, return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:MOST_CAMERAS]
    return {
        int(camera): np.flatnonzero(side.split.camera == camera)
        for camera in np.sort(cameras[kept])
    }


def _precision(
    query: Embedded, gallery: Embedded, name: str, rule: str, mesh: jax.sharding.Mesh
) -> np.ndarray:
    """The average precision of each query in this gallery; NaN without a match."""
    return retrieval_metrics(
        query.embeddings[name],
        query.split.labels,
        gallery.embeddings[name],
        gallery.split.labels,
        rule=rule,
        ranks=(1,),
        mesh=mesh,
    ).average_precision


def _mean(precision: np.ndarray) -> dict | None:
    found = precision[~np.isnan(precision)]
    return {"value": float(found.mean()), "queries": len(found)} if len(found) else None


def _title(side: Embedded, indices: np.ndarray) -> str:
    return labels_of(side.split, int(indices[0]))["camera"]
