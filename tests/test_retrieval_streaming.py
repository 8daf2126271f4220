"""Features in files and on devices, numbers of devices, and the memory of a call."""

import math
import re

import jax
import numpy as np
import pytest
import retrieval_reference as reference
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from retrieval_reference import random_features, random_labels

from mbnet_jax.retrieval import counting, metrics, retrieval_metrics, top_k
from mbnet_jax.retrieval.blocks import gallery_rows

NUM_QUERIES, NUM_GALLERY, WIDTH = 70, 1000, 24


def mesh_of(devices: int) -> Mesh:
    return Mesh(np.array(jax.devices()[:devices]), ("x",))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return (
        random_features(rng, "random", NUM_QUERIES, WIDTH),
        random_labels(rng, NUM_QUERIES, 40),
        random_features(rng, "random", NUM_GALLERY, WIDTH),
        random_labels(rng, NUM_GALLERY, 40),
    )


def evaluate(data, gallery=None, query=None, **options):
    own_query, query_labels, own_gallery, gallery_labels = data
    return retrieval_metrics(
        own_query if query is None else query,
        query_labels,
        own_gallery if gallery is None else gallery,
        gallery_labels,
        **{"block_rows": (64, 64), **options},
    )


def assert_same(found, expected):
    np.testing.assert_array_equal(found.first_match_rank, expected.first_match_rank)
    np.testing.assert_array_equal(found.average_precision, expected.average_precision)
    assert found.mINP == expected.mINP


@pytest.fixture(scope="module")
def on_one_device(data):
    return evaluate(data, mesh=mesh_of(1))


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_any_number_of_devices(data, on_one_device, devices):
    assert_same(evaluate(data, mesh=mesh_of(devices)), on_one_device)


def test_one_device_is_exact(data, on_one_device):
    query, query_labels, gallery, gallery_labels = data
    similarity = reference.similarities(query, gallery)
    *_, ap, first = reference.metrics(
        similarity, query_labels, gallery_labels, "general", (1,)
    )
    np.testing.assert_array_equal(on_one_device.first_match_rank, first)
    np.testing.assert_allclose(on_one_device.average_precision, ap, atol=1e-12)


@pytest.mark.parametrize("size", [63, 64, 65, 511, 512, 513])
def test_gallery_sizes_around_the_blocks_of_eight_devices(data, size):
    query, query_labels, gallery, gallery_labels = data
    gallery_labels = type(gallery_labels)(*(field[:size] for field in gallery_labels))
    part = query, query_labels, gallery[:size], gallery_labels
    assert_same(evaluate(part, mesh=mesh_of(8)), evaluate(part, mesh=mesh_of(1)))
    one = top_k(query[:5], gallery[:size], 20, mesh=mesh_of(1))
    for found, expected in zip(
        top_k(query[:5], gallery[:size], 20, mesh=mesh_of(8)), one, strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_sharded_arrays_stay_where_they_are(data, on_one_device, monkeypatch):
    query, _, gallery, _ = data
    by_rows = NamedSharding(mesh_of(8), PartitionSpec("x"))
    moved = []
    put = jax.device_put

    def device_put(rows, device=None, **options):
        moved.append((rows, device))
        return put(rows, device, **options)

    gallery_8 = put(gallery, by_rows)
    homes = {
        shard.data.unsafe_buffer_pointer(): shard
        for shard in gallery_8.addressable_shards
    }
    monkeypatch.setattr(jax, "device_put", device_put)
    whole_query = put(query, NamedSharding(mesh_of(8), PartitionSpec()))
    found = evaluate(data, gallery_8, whole_query, mesh=mesh_of(8))
    assert_same(found, on_one_device)
    read = [(rows, device) for rows, device in moved if rows.shape == (64, WIDTH)]
    assert read
    for rows, device in read:
        for pointer, shard in homes.items():
            if 0 <= rows.ctypes.data - pointer < shard.data.nbytes:
                assert device == shard.device

    # Four parts, each on two devices; and all rows on one device.
    pairs = Mesh(np.array(jax.devices()).reshape(4, 2), ("x", "y"))
    on_pairs = put(gallery, NamedSharding(pairs, PartitionSpec("x")))
    assert_same(evaluate(data, on_pairs, mesh=mesh_of(8)), on_one_device)
    assert_same(evaluate(data, put(gallery, jax.devices()[3])), on_one_device)


def test_arrays_split_by_width_are_rejected(data):
    by_width = NamedSharding(mesh_of(8), PartitionSpec(None, "x"))
    with pytest.raises(ValueError, match="gallery is split along its width"):
        evaluate(data, jax.device_put(data[2], by_width))


def test_memory_mapped_gallery(data, on_one_device, tmp_path):
    np.save(tmp_path / "gallery.npy", data[2])
    for mode in ("r", "r+", "c"):
        mapped = np.load(tmp_path / "gallery.npy", mmap_mode=mode)
        assert_same(evaluate(data, mapped), on_one_device)
    # The file does not have what is written to a private mapping, which must be kept.
    mapped[0] = 0
    with pytest.raises(ValueError, match=r"gallery row 0 .*zeros"):
        evaluate(data, mapped)
    assert (mapped[0] == 0).all()


def test_products_that_are_not_kept_are_computed_again(
    data, on_one_device, monkeypatch
):
    monkeypatch.setattr(metrics, "KEPT_BYTES", 3 * 4 * 64 * 64)
    assert_same(evaluate(data, mesh=mesh_of(1)), on_one_device)


@pytest.mark.parametrize("kind", ["random", "tied", "duplicated"])
def test_euclidean(kind):
    rng = np.random.default_rng(2)
    query, gallery = (random_features(rng, kind, n, 16) for n in (30, 200))
    query_labels, gallery_labels = random_labels(rng, 30), random_labels(rng, 200)
    found = retrieval_metrics(
        query, query_labels, gallery, gallery_labels, metric="euclidean"
    )
    wide = query.astype(np.float64)[:, None] - gallery
    distance = np.sqrt((wide * wide).sum(axis=2))
    *_, ap, first = reference.metrics(
        -distance, query_labels, gallery_labels, "general", (1,)
    )
    np.testing.assert_array_equal(found.first_match_rank, first)
    np.testing.assert_allclose(found.average_precision, ap, atol=1e-12)
    values, indices = top_k(query, gallery, 30, metric="euclidean")
    order = np.argsort(distance, axis=1, kind="stable")[:, :30]
    np.testing.assert_array_equal(indices, order)
    nearest = np.take_along_axis(distance, order, axis=1)
    np.testing.assert_allclose(values, -nearest, atol=2e-3)


def test_a_zero_row_has_a_euclidean_distance():
    values, indices = top_k(np.zeros((1, 2)), np.eye(2), 2, metric="euclidean")
    np.testing.assert_array_equal(indices, [[0, 1]])
    np.testing.assert_allclose(values, [[-1, -1]])


def test_bfloat16_is_less_exact(data):
    exact, _ = top_k(data[0], data[2], 5)
    rough, _ = top_k(data[0], data[2], 5, dtype="bfloat16")
    # Two factors of 8 bits each.
    assert 1e-5 < np.abs(exact - rough).max() < 2**-7


def recorded(monkeypatch, data, **options) -> tuple[list[str], list[int]]:
    """Returns the texts of a call's compiled programs, and bytes of live arrays."""
    texts, live = [], []
    original = counting.programs

    def programs(*args):
        def record(function):
            def call(*args):
                lowered = function.lower(*args)
                texts.append(lowered.as_text() + lowered.compile().as_text())
                result = function(*args)
                live.append(sum(array.nbytes for array in jax.live_arrays()))
                return result

            return call

        return counting.Programs(*map(record, original(*args)))

    monkeypatch.setattr(counting, "programs", programs)
    evaluate(data, **options)
    return texts, live


def test_holds_and_sorts_no_full_matrix(monkeypatch):
    """Neither a buffer of a compiled program nor a live array is query x gallery."""
    monkeypatch.setattr(metrics, "KEPT_BYTES", 4 * 128 * 1024)
    rng = np.random.default_rng(0)
    num_query, num_gallery = 500, 4500
    data = (
        random_features(rng, "random", num_query, 8),
        random_labels(rng, num_query, 200),
        random_features(rng, "random", num_gallery, 8),
        random_labels(rng, num_gallery, 200),
    )
    before = sum(array.nbytes for array in jax.live_arrays())
    texts, live = recorded(monkeypatch, data, mesh=mesh_of(1), block_rows=(128, 1024))
    sizes = [
        math.prod(int(side) for side in shape.split(","))
        for text in texts
        for shape in re.findall(r"\w+\[([\d,]+)\]", text)
    ]
    assert max(sizes) == 128 * 1024
    assert not any(re.search(r"\bsort\b|topk", text, re.I) for text in texts)
    assert max(live) - before < 4 * num_query * num_gallery / 3


def test_products_are_in_full_precision(monkeypatch, data):
    """The default precision of float32 products on GPU and TPU is lower."""
    texts, _ = recorded(monkeypatch, data, mesh=mesh_of(1))
    products = [text for text in texts if "dot_general" in text]
    assert products
    for text in products:
        (line,) = (x for x in text.splitlines() if "stablehlo.dot_general" in x)
        assert "precision = [HIGHEST, HIGHEST]" in line


def test_sizes_that_round_to_the_same_blocks_are_compiled_once(data):
    def compiled():
        return [
            program._cache_size() for program in counting.programs(mesh_of(1), "cosine")
        ]

    query, query_labels, gallery, gallery_labels = data
    found = []
    for num_query, num_gallery in [(70, 1000), (66, 940), (69, 700), (70, 513)]:
        few = [field[:num_query] for field in query_labels]
        many = [field[:num_gallery] for field in gallery_labels]
        part = (
            query[:num_query],
            type(query_labels)(*few),
            gallery[:num_gallery],
            type(gallery_labels)(*many),
        )
        evaluate(part, mesh=mesh_of(1), block_rows=(128, 128))
        found.append(compiled())
    assert found[0] == found[1] == found[2] == found[3]


def test_blocks_have_few_sizes_and_little_padding():
    """Beyond one block, each block has less than an eighth of the largest to spare."""
    sizes = set()
    for num_gallery in range(1025, 30_000, 7):
        rows = gallery_rows(num_gallery, 4096, None)
        sizes.add(rows)
        blocks = math.ceil(num_gallery / rows)
        assert rows <= 1024 and blocks * (rows - 128) < num_gallery
    assert len(sizes) == 4  # those above half of 1,024 rows
