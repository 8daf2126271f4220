"""The table by cameras: each cell is the mAP of its queries in its gallery alone."""

import numpy as np
import pytest
from modules import normal

from mbnet_jax.data import Split
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.report import camera_pairs as module
from mbnet_jax.report.camera_pairs import camera_pairs
from mbnet_jax.retrieval import retrieval_metrics

PROTOCOL = Protocol("general", "query", "gallery", "general")


def embedded(count, cameras, seed=0):
    rng = np.random.default_rng(seed)
    pid, camera = (rng.integers(0, n, count).astype(np.int32) for n in (5, cameras))
    names = tuple(f"{i}.jpg" for i in range(count))
    split = Split(pid, camera, camera, names, np.arange(count), None)
    return Embedded(split, {"all": normal(count, 4)})


def test_each_cell_is_the_map_of_its_queries_and_gallery():
    both = {"query": embedded(30, 3), "gallery": embedded(60, 3, seed=1)}
    table = camera_pairs(PROTOCOL, both, seed=0)
    assert [len(row["cells"]) for row in table["rows"]] == [3, 3, 3]
    shades = []
    for i, row in enumerate(table["rows"]):
        query = both["query"].subset(np.flatnonzero(both["query"].split.camera == i))
        assert (row["title"], row["count"]) == (str(i + 1), len(query.split))
        for j, cell in enumerate(row["cells"]):
            of_camera = np.flatnonzero(both["gallery"].split.camera == j)
            gallery = both["gallery"].subset(of_camera)
            assert table["columns"][j]["count"] == len(of_camera)
            expected = retrieval_metrics(
                query.embeddings["all"],
                query.split.labels,
                gallery.embeddings["all"],
                gallery.split.labels,
                rule="general",
            )
            if i == j:  # the rule removes images of the query's camera
                assert cell is None and not expected.num_queries
                continue
            assert cell["value"] == pytest.approx(expected.mAP)
            assert cell["queries"] == expected.num_queries
            shades.append((cell["value"], cell["shade"]))
    in_order = [shade for _, shade in sorted(shades)]
    assert in_order == sorted(in_order) and in_order[-1] == module.SHADES


def test_of_many_cameras_the_most_frequent_are_shown(monkeypatch):
    monkeypatch.setattr(module, "MOST_CAMERAS", 2)
    both = {"query": embedded(40, 4), "gallery": embedded(60, 4, seed=1)}
    table = camera_pairs(PROTOCOL, both, seed=0)
    counts = np.bincount(both["query"].split.camera)
    kept = sorted(np.argsort(-counts, kind="stable")[:2])
    assert [row["title"] for row in table["rows"]] == [str(c + 1) for c in kept]
    assert len(table["columns"]) == 2 and table["cameras"] == [4, 4]


def test_without_cameras_there_is_no_table():
    both = {"query": embedded(10, 1), "gallery": embedded(60, 3)}
    assert camera_pairs(PROTOCOL, both, seed=0) is None
    both["query"] = embedded(10, 3)
    both["query"].split.camera[:] = -1
    assert camera_pairs(PROTOCOL, both, seed=0) is None
