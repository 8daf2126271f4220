"""The programs of accelerators, run on the CPU: the same ranks as from its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import retrieval_reference as reference
from jax.sharding import Mesh
from retrieval_reference import random_features, random_labels

from mbnet_jax.retrieval import (
    counting,
    metrics,
    passes,
    passes_on_cpu,
    retrieval_metrics,
)


@pytest.fixture
def by_passes(monkeypatch):
    """Lets a CPU read and count as accelerators do."""
    monkeypatch.setattr(counting, "on_cpu", lambda mesh: False)
    counting.programs.cache_clear()
    yield
    counting.programs.cache_clear()


@pytest.mark.parametrize("kind", ["random", "tied", "duplicated"])
@pytest.mark.parametrize("devices", [1, 3])
def test_ranks_are_exact(by_passes, monkeypatch, kind, devices):
    """Some keys are kept, some computed again; the last block repeats rows."""
    rng = np.random.default_rng(0)
    query, gallery = (random_features(rng, kind, n, 16) for n in (30, 450))
    query_labels, gallery_labels = random_labels(rng, 30), random_labels(rng, 450)
    monkeypatch.setattr(metrics, "KEPT_BYTES", 4 * 16 * 64)
    found = retrieval_metrics(
        query,
        query_labels,
        gallery,
        gallery_labels,
        mesh=Mesh(np.array(jax.devices()[:devices]), ("x",)),
        block_rows=(16, 64),
    )
    similarity = reference.similarities(query, gallery)
    *_, ap, first = reference.metrics(
        similarity, query_labels, gallery_labels, "general", (1,)
    )
    np.testing.assert_array_equal(found.first_match_rank, first)
    np.testing.assert_allclose(found.average_precision, ap, atol=1e-12)


def test_both_ways_of_counting_agree():
    rng = np.random.default_rng(4)
    key = jnp.asarray(rng.integers(-9, 9, (128, 96)), jnp.int32)
    column = jnp.asarray(rng.integers(-96, 192, (128, 16)), jnp.int32)
    found = jnp.asarray(rng.integers(-9, 9, (128, 16)), jnp.int32)
    most = jnp.array([16, 16], jnp.int32)
    tile_end = (np.arange(96) // passes.TILE + 1) * passes.TILE
    earlier = np.asarray(column)[:, :, None] >= tile_end
    ahead = np.asarray(key)[:, None, :] > np.asarray(found)[:, :, None] - earlier
    for way in (passes, passes_on_cpu):
        count = way.nearer(way.arranged(key), found, column, most)
        np.testing.assert_array_equal(count, ahead.sum(axis=2))


def test_lists_hold_what_entries_hold():
    index = np.array([[3, 70, 71, -1, 5], [-1, -1, -1, -1, -1], [0, 64, -1, 1, 65]])
    bounds = [np.array([[0, 0, 64], [64, 64, 100]])]
    table = counting.EntryTable(index, bounds)
    mesh = Mesh(np.array(jax.devices()[:2]), ("devices",))
    assert table.longest() == 8
    lists = np.asarray(table.lists(0, mesh, 8))
    entries = np.asarray(table.entries(0, mesh, table.capacity()))
    for lane in range(2):
        slot, index = lists[lane]
        row, place = np.nonzero(slot >= 0)
        listed = np.stack([row, slot[row, place], index[row, place]])
        np.testing.assert_array_equal(
            listed, entries[lane][:, entries[lane, 0] < len(slot)]
        )
        # What a query needs is in its first places.
        assert (np.diff((slot >= 0).astype(int), axis=1) <= 0).all()
