import dataclasses
from os.path import basename

import jax
import numpy as np
import pytest
import tiny
from ml_collections import ConfigDict

from mbnet_jax.data import loader as loading
from mbnet_jax.data.builder import fingerprint, prepare
from mbnet_jax.data.datasets import read_records
from mbnet_jax.data.loader import Loader, decode, load_example
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.data.splits import hold_out_identities, make_split, make_validation
from mbnet_jax.devices.mesh import make_mesh, replicated
from mbnet_jax.evaluation.embed import embed_split
from mbnet_jax.evaluation.embed_function import ALL
from mbnet_jax.parsing.labels import ARMS, HEAD, UPPER_CLOTHES

SIZE = (tiny.HEIGHT, tiny.WIDTH)
DATA = {
    "height": 64,
    "width": 32,
    "threads": 2,
    "prefetch": 2,
    "name": "synthetic",
    "root": "data",
    "max_bad_images": 10,
    "parsing_labels": "canonical",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_folder(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def splits(folder, tmp_path_factory):
    records = read_records("synthetic", folder)
    sources = prepare(records, folder, tmp_path_factory.mktemp("prepared"))
    return {name: make_split(records[name], sources[name], folder) for name in records}


def test_records_match_the_folder(folder):
    records = read_records("synthetic", folder)
    assert {name: len(rows) for name, rows in records.items()} == {
        "train": 32,
        "query": 8,
        "gallery": 8,
    }
    first = records["query"][0]
    assert first.path == folder / "query" / "0004_1_c1_1.jpg"
    assert first.parsing_path == folder / "parsing" / "query" / "0004_1_c1_1.png"
    assert (first.pid, first.camera) == (4, 0)
    assert sorted({r.pid for r in records["train"]}) == [0, 1, 2, 3]
    assert sorted({r.clothes for r in records["train"]}) == list(range(8))
    # The same outfit has the same number in query and gallery.
    outfits = {r.path.name[:6]: r.clothes for r in records["query"]}
    assert all(outfits[r.path.name[:6]] == r.clothes for r in records["gallery"])
    assert len(set(outfits.values())) == 4


def test_reader_errors_name_the_offender(folder, tmp_path):
    with pytest.raises(ValueError, match="'prc' is not a dataset here; known: synth"):
        read_records("prc", folder)
    with pytest.raises(FileNotFoundError, match="train is missing"):
        read_records("synthetic", tmp_path)
    root = tiny.write_folder(tmp_path)
    (root / "train" / "odd.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected names like .*: odd\.jpg"):
        read_records("synthetic", root)


def test_original_bytes_are_stored_in_the_records_order(folder, splits):
    for name, split in splits.items():
        for index, record in enumerate(read_records("synthetic", folder)[name]):
            example = split.example(index)
            assert example["image"] == record.path.read_bytes()
            assert example["parsing"] == record.parsing_path.read_bytes()
            assert example["pid"] == record.pid == split.pid[index]


def test_fingerprint_changes_with_a_file_and_with_a_label(tmp_path):
    root = tiny.write_folder(tmp_path)
    records = read_records("synthetic", root)
    before = fingerprint(records, root)
    assert fingerprint(read_records("synthetic", root), root) == before
    other = {**records, "query": [r._replace(camera=9) for r in records["query"]]}
    assert fingerprint(other, root) != before
    records["train"][0].path.write_bytes(b"another")
    assert fingerprint(records, root) != before


def loader(devices: int = 8, **changes) -> Loader:
    data = ConfigDict({**DATA, **changes})
    return Loader(data, make_mesh(jax.devices()[:devices]))


def batches_of(splits, devices: int, steps: range, **changes):
    train = splits["train"]
    sampler = IdentityBalancedSampler(
        train.pid, train.clothes, batch_size=8, images_per_identity=2, seed=0
    )
    return list(loader(devices, **changes).train(train, sampler, steps))


def test_batches_are_the_same_on_any_number_of_devices_and_after_a_restart(splits):
    one = batches_of(splits, 1, range(5))
    assert len(one) == 5
    assert {k: (v.shape, v.dtype.name) for k, v in one[0].items()} == {
        "image": ((8, 64, 32, 3), "uint8"),
        "parsing": ((8, 64, 32), "uint8"),
        **dict.fromkeys(("pid", "camera", "clothes", "index"), ((8,), "int32")),
    }
    eight = batches_of(splits, 8, range(5))
    assert len(eight[0]["image"].addressable_shards) == 8
    restarted = batches_of(splits, 2, range(3, 5), threads=1, prefetch=1)
    expected_again = one + one[3:]
    for expected, batch in zip(expected_again, eight + restarted, strict=True):
        for name in expected:
            np.testing.assert_array_equal(expected[name], batch[name])


@pytest.mark.parametrize("kept", [0, 5, 32])
def test_images_that_are_kept_are_decoded_once(splits, monkeypatch, kept):
    expected = batches_of(splits, 1, range(12))
    decoded = []

    def load(split, index, data):
        decoded.append(index)
        return load_example(split, index, data)

    monkeypatch.setattr(loading, "load_example", load)
    room = (kept + 0.5) * 4 * 64 * 32 / 1e9
    found = batches_of(splits, 1, range(12), threads=1, cache_gb=room)
    for one, other in zip(expected, found, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    drawn = np.concatenate([batch["index"] for batch in found]).tolist()
    once = {*list(dict.fromkeys(drawn))[:kept]}
    assert {index: decoded.count(index) for index in {*drawn}} == {
        index: 1 if index in once else drawn.count(index) for index in {*drawn}
    }


def test_a_batchs_labels_belong_to_its_images(splits):
    (batch,) = batches_of(splits, 8, range(1))
    train = splits["train"]
    for row, index in enumerate(np.asarray(batch["index"])):
        expected = load_example(train, index, ConfigDict(DATA))
        for name, value in expected.items():
            np.testing.assert_array_equal(batch[name][row], value)
        assert batch["pid"][row] == int(basename(train.names[index])[:4])


@pytest.mark.parametrize("batch_size", [8, 32, 40])
def test_evaluation_yields_every_image_once_then_padding(splits, batch_size):
    train = splits["train"].subset(np.arange(31))
    batches = loader().evaluate(train, batch_size)
    index = np.concatenate([batch["index"] for batch in batches])
    assert len(index) == -(-31 // batch_size) * batch_size
    np.testing.assert_array_equal(index[:31], np.arange(31))
    assert (index[31:] == 30).all()


@pytest.mark.parametrize("count", [7, 8, 9])
def test_embeddings_are_of_the_images_without_padding(splits, count):
    def embed(variables, image, parsing):
        return {ALL: image.mean((1, 2)) + parsing.mean((1, 2))[:, None]}

    some = splits["train"].subset(np.arange(count))
    compiled = jax.jit(embed, out_shardings=replicated(make_mesh()))
    found = embed_split(compiled, {}, some, loader(), batch_size=8)[ALL]
    examples = [load_example(some, i, ConfigDict(DATA)) for i in range(count)]
    expected = [e["image"].mean((0, 1)) + e["parsing"].mean() for e in examples]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(1), r"a thread that reads images ended \(SystemExit\(1\)\)"),
        (MemoryError("of an image"), "of an image"),
    ],
)
def test_a_reading_thread_that_ends_ends_the_batches(
    splits, monkeypatch, error, message
):
    def load(split, index, data, **more):
        if index == 5:
            raise error
        return load_example(split, index, data, **more)

    monkeypatch.setattr(loading, "load_example", load)
    with pytest.raises((OSError, MemoryError), match=message):
        list(loader().evaluate(splits["train"], 8))


def test_decode_resizes_image_and_labels(splits):
    image, parsing = decode(splits["train"].example(0), (32, 16), "canonical")
    assert image.shape == (32, 16, 3) and parsing.shape == (32, 16)
    np.testing.assert_array_equal(parsing, tiny.person()[::2, ::2])


def test_decode_names_the_bad_file():
    good = {
        "name": b"train/x.jpg",
        "image": tiny.encoded(np.zeros((64, 32, 3), np.uint8), "JPEG"),
        "parsing": tiny.encoded(tiny.person(), "PNG"),
    }
    decode(good, SIZE, "canonical")
    lip = tiny.encoded(np.full((64, 32), 19, np.uint8), "PNG")
    half = tiny.encoded(tiny.person()[::2, ::2], "PNG")
    for change, message in (
        ({"image": b"x" * 50}, r"image of train/x\.jpg cannot be decoded"),
        ({"parsing": b"x" * 50}, r"parsing map of train/x\.jpg cannot be decoded"),
        ({"parsing": lip}, r"x\.jpg has the label 19, .*'canonical' ends at 7"),
        ({"parsing": half}, r"x\.jpg is 16x32 pixels .*, its image 32x64; give a map"),
    ):
        with pytest.raises(ValueError, match=message):
            decode(good | change, SIZE, "canonical")


def test_an_image_without_a_map_is_all_background(splits):
    example = {**splits["train"].example(0), "parsing": b""}
    _, parsing = decode(example, SIZE, "lip")
    assert parsing.shape == SIZE and parsing.dtype == np.uint8 and not parsing.any()


def test_a_loader_reads_the_configs_label_set(splits):
    (batch,) = loader(parsing_labels="lip").evaluate(
        splits["train"].subset(np.arange(8)), 8
    )
    # The maps have canonical labels: 3, lower clothes, is a glove in LIP.
    expected = np.array([0, HEAD, HEAD, ARMS, HEAD, UPPER_CLOTHES, UPPER_CLOTHES])
    np.testing.assert_array_equal(batch["parsing"][0], expected[tiny.person()])
    with pytest.raises(ValueError, match="parsing_labels='cihp' is unknown; known: ca"):
        loader(parsing_labels="cihp")


def test_held_out_identities_are_disjoint_from_training(splits):
    train = splits["train"]

    def persons(split):
        return {basename(name)[:4] for name in split.names}

    rest, held_out = hold_out_identities(train, 0.5, seed=0)
    assert not persons(rest) & persons(held_out)
    assert persons(rest) | persons(held_out) == persons(train)
    assert sorted(set(rest.pid)) == [0, 1] and sorted(set(rest.clothes)) == [*range(4)]
    # One query of each person, outfit and camera; all images in the gallery.
    validation = make_validation(held_out)
    assert validation.rule == "clothes_changing"
    assert len(validation.gallery) == len(held_out) == 16 and len(validation.query) == 8
    query = held_out.subset(validation.query)
    assert len({(*cell,) for cell in zip(*query.labels[:3], strict=True)}) == 8
    assert rest.example(0)["name"].decode().endswith(rest.names[0])


def test_holding_out_too_few_is_refused(splits):
    for fraction in (0.0, 0.25, 0.9):
        with pytest.raises(ValueError, match="at least 2 must be held out"):
            hold_out_identities(splits["train"], fraction, seed=0)


def test_a_split_is_a_view(splits):
    train = splits["train"]
    part = train.subset(np.array([5, 3]))
    assert part.example(1) == train.example(3)
    assert dataclasses.replace(part).names == (train.names[5], train.names[3])
