"""The search: exact lists, cached embeddings."""

import errno
import os
import shutil
import socket
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import small_run
import tiny
from photos import TAG, make_folder, write_photo
from PIL import Image
from searching import GLOBAL, Counting, opened, read_files
from untrained import untrained, whole_network

from mbnet_jax.search import digests
from mbnet_jax.search import rows as rows_module
from mbnet_jax.search.digests import digest_of
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.gallery import open_gallery
from mbnet_jax.search.nearest import COPY, SAME, embed_queries, find_nearest

pytestmark = pytest.mark.usefixtures("one_block")


@pytest.fixture(scope="module")
def mesh():
    return small_run.one_device()


@pytest.fixture(scope="module")
def network(small_data, mesh):
    """A network of all branches; only the global one is compiled here."""
    return untrained(whole_network(small_data[0]), mesh)


@pytest.fixture(scope="module")
def shared(network, mesh):
    return Embedder(network, mesh)


@pytest.fixture
def embedder(shared):
    return Counting(shared)


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "photos")


def test_the_lists_are_those_of_brute_force(folder, embedder):
    gallery = opened(folder, embedder)
    assert gallery.names == sorted(gallery.names) and len(gallery.names) == 7
    assert not gallery.failures
    # The copy is embedded once.
    assert gallery.embedded == len(embedder.files) == len(set(embedder.files)) == 6
    direct = embedder.embed([folder / n for n in gallery.names], branches=GLOBAL)
    np.testing.assert_allclose(
        gallery.features[gallery.rows], direct, atol=1e-6, strict=True
    )

    outside = write_photo(folder.parent / "query.jpg", 99)
    queries = [outside, folder / "a.jpg", folder / "day 1" / "c.png"]
    paths, rows, failed = embed_queries(queries, folder, embedder, GLOBAL)
    assert paths == queries and not failed
    similarity = rows @ direct.T
    for k in (3, 100):
        found = find_nearest(paths, rows, gallery, k)
        for query, values in zip(found, similarity, strict=True):
            order = np.argsort(-values.round(5), kind="stable")[:k]
            assert [hit.name for hit in query.hits] == [gallery.names[i] for i in order]
            np.testing.assert_allclose(
                [hit.similarity for hit in query.hits], values[order], atol=1e-5
            )
    notes = [{hit.name: hit.note for hit in query.hits if hit.note} for query in found]
    assert notes == [{}, {"a.jpg": SAME, "day 2/copy.jpg": COPY}, {"day 1/c.png": SAME}]
    assert [len(query.hits) for query in found] == [7, 7, 7]


def test_only_new_or_changed_photographs_are_embedded(
    folder, embedder, shared, monkeypatch
):
    before = opened(folder, embedder)
    read = read_files(monkeypatch)
    # The global branch needs no maps: a folder of them changes nothing.
    for maps in (None, folder.parent):
        again = opened(folder, embedder, parsing_dir=maps)
        assert again.embedded == 0 and len(embedder.files) == 6 and not read
    np.testing.assert_array_equal(again.features, before.features)
    assert isinstance(again.features, np.memmap)

    write_photo(folder / "a.jpg", 50)  # the copy still has its old content
    write_photo(folder / "new.jpg", 51)
    os.utime(folder / "b.JPG")  # another time, the same content
    (folder / "e.webp").rename(folder / "f.webp")
    after = opened(folder, embedder)
    assert sorted(embedder.files[6:]) == ["a.jpg", "new.jpg"] and after.embedded == 2
    assert sorted(read) == ["a.jpg", "b.JPG", "f.webp", "new.jpg"]
    direct = shared.embed([folder / n for n in after.names], branches=GLOBAL)
    np.testing.assert_allclose(after.features[after.rows], direct, atol=1e-6)

    # Fewer photographs than there are rows: the others are not searched.
    for path in ("a.jpg", "f.webp"):
        (folder / path).unlink()
    fewer = opened(folder, embedder)
    assert fewer.embedded == 0 and len(fewer.names) == 6
    direct = shared.embed([folder / n for n in fewer.names], branches=GLOBAL)
    np.testing.assert_allclose(fewer.features[fewer.rows], direct, atol=1e-6)
    assert len(fewer.features) == 6

    # Another folder with photographs that are cached.
    shutil.copytree(folder / "day 1", folder.parent / "other")
    moved = opened(folder.parent / "other", embedder)
    assert moved.embedded == 0 and moved.names == ["c.png", "deep/d.jpg"]


def test_another_network_or_setting_has_its_own_rows(folder, embedder, network, mesh):
    first = opened(folder, embedder)
    others = [
        Embedder(untrained(network.config, mesh, seed=1), mesh),
        Embedder(network, mesh, flip=False),
    ]
    for other in others:
        found = opened(folder, other)
        assert found.embedded == 6
        assert np.abs(found.features - first.features).max() > 1e-3
    assert opened(folder, embedder).embedded == 0


def test_an_interrupted_search_keeps_finished_embeddings(folder, shared):
    class Interrupted(Counting):
        def stream(self, *args, **kwargs):
            yield next(super().stream(*args, **kwargs))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(folder, Interrupted(shared))
    resumed = Counting(shared)
    assert opened(folder, resumed).embedded == len(resumed.files) == 2


def test_unusable_files_are_left_out_and_listed(folder, embedder):
    whole = (folder / "a.jpg").read_bytes()
    (folder / "bad.jpg").write_bytes(whole[:100])
    (folder / "day 1" / "empty.jpg").write_bytes(b"")
    (folder / "lost.jpg").symlink_to(folder / "nothing.jpg")
    (folder / "round").symlink_to(folder)
    gallery = opened(folder, embedder)
    assert len(gallery.names) == 7 and gallery.embedded == 6
    reasons = dict(gallery.failures)
    assert sorted(reasons) == ["bad.jpg", "day 1/empty.jpg", "lost.jpg"]
    assert "cannot be decoded" in reasons["bad.jpg"]
    assert "No such file" in reasons["lost.jpg"]
    # It may have been repaired by the next time.
    (folder / "bad.jpg").write_bytes(whole)
    assert "bad.jpg" in opened(folder, embedder).names

    empty = folder.parent / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="hold no photograph; give the folder"):
        opened(empty, embedder)
    (empty / "bad.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 1 .* bad.jpg: .* be decoded"):
        opened(empty, embedder)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        opened(folder / "gone", embedder)


def test_a_file_that_changes_while_it_is_read_is_not_kept(folder, shared):
    class Late(Counting):
        def stream(self, *args, **kwargs):
            for item in super().stream(*args, **kwargs):
                write_photo(folder / "b.JPG", 60)
                yield item

    gallery = opened(folder, Late(shared))
    assert "b.JPG" not in gallery.names
    assert "changed while it was read" in dict(gallery.failures)["b.JPG"]
    again = Counting(shared)
    assert "b.JPG" in opened(folder, again).names and again.files == ["b.JPG"]


def test_a_map_is_part_of_its_photographs_key(folder, small_data, mesh, monkeypatch):
    config = whole_network(small_data[0])
    config.model.cfm = False  # or the mask branch would need another one
    embedder = Counting(Embedder(untrained(config, mesh), mesh))
    branches = ("mask",)
    maps = folder / "maps"  # inside the folder, but no photographs
    for name in ("a", "b", "day 1/c", "day 1/deep/d", "day 2/copy"):
        path = maps / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiny.encoded(tiny.person(), "PNG"))
    cache = folder.parent / "cache"
    search = partial(open_gallery, folder, embedder, branches, cache, maps, 4)
    gallery = search()
    assert gallery.embedded == 4 and len(gallery.names) == 5
    assert sorted(dict(gallery.failures)) == [f"day 2/{TAG}", "e.webp"]
    assert "has no parsing map" in gallery.failures[0][1]
    read = read_files(monkeypatch)
    assert search().embedded == 0 and not read
    # Another map makes another embedding of the same photograph.
    (maps / "a.png").write_bytes(tiny.encoded(tiny.person(head=12), "PNG"))
    (maps / "b.png").write_bytes(tiny.encoded(np.full((64, 32), 9, np.uint8), "PNG"))
    after = search()
    assert after.embedded == 1 and embedder.files[4:] == ["a.jpg", "b.JPG"]
    assert "has the label 9" in dict(after.failures)["b.JPG"]
    queries = [folder / "a.jpg", write_photo(folder.parent / "away.jpg", 3)]
    paths, rows, failed = embed_queries(queries, folder, embedder, branches, maps)
    assert paths == queries[:1] and "away.png) does not exist" in failed[0][1]
    expected = after.features[after.rows[after.names.index("a.jpg")]]
    np.testing.assert_allclose(rows[0], expected, atol=1e-6)
    shutil.copy(maps / "a.png", folder.parent / "away.png")
    paths, rows, failed = embed_queries(
        queries, folder, embedder, branches, maps, folder.parent
    )
    assert paths == queries and not failed


def test_odd_files_in_a_gallery_are_named(folder, embedder):
    """None is waited for, or read without a limit."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "round.jpg").symlink_to("round.jpg")
    (folder / "folder.png").symlink_to(folder)
    (folder / "zero.gif").symlink_to("/dev/zero")
    with (folder / "sparse.tif").open("wb") as file:
        file.truncate(1 << 40)
    Image.new("1", (9_000, 9_000)).save(folder / "bomb.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.bmp"))
    write_photo(folder / "old.jpg", 80)
    os.utime(folder / "old.jpg", (13e9, 13e9))  # a year that SQLite cannot store
    write_photo(folder / "a folder.jpg" / os.fsdecode(b"\xff.jpg"), 81)
    gallery = opened(folder, embedder)
    assert len(gallery.names) == 9
    reasons = dict(gallery.failures)
    irregular = ["folder.png", "pipe.jpg", "socket.bmp", "zero.gif"]
    assert {*reasons} == {*irregular, "bomb.png", "round.jpg", "sparse.tif"}
    for name in irregular:
        assert reasons[name] == "is not a regular file"
    assert "at most 268,435,456 are read" in reasons["sparse.tif"]
    assert "9,000 x 9,000 pixels" in reasons["bomb.png"]
    assert "symbolic links" in reasons["round.jpg"]
    assert opened(folder, embedder).embedded == 0


def test_a_file_that_vanishes_or_grows_is_left_out(folder, embedder, monkeypatch):
    def vanishing(path):
        if Path(path).name == "b.JPG":
            Path(path).unlink()
        if Path(path).name == "e.webp":
            monkeypatch.setattr(digests, "MAX_BYTES", 100)
        return digest_of(path)

    monkeypatch.setattr(digests, "digest_of", vanishing)
    monkeypatch.setattr(digests, "_SAVE_EVERY", 1)  # one after the other
    reasons = dict(opened(folder, embedder).failures)
    assert sorted(reasons) == ["b.JPG", "e.webp"]
    assert reasons["b.JPG"] == "cannot be read: No such file or directory"
    assert "e.webp grows; at most 100 bytes" in reasons["e.webp"]


def test_damaged_rows_are_computed_again_and_that_is_said(folder, embedder):
    gallery = opened(folder, embedder)
    before = gallery.features[gallery.rows]
    (file,) = folder.parent.glob("cache/*/rows.f32")
    rows = np.fromfile(file, np.float32).reshape(6, -1)
    rows[[0, 1]] = rows[[1, 0]]  # two people
    rows.tofile(file)
    with pytest.warns(UserWarning, match="2 of the rows in .* were damaged"):
        after = opened(folder, embedder)
    assert after.embedded == 2
    np.testing.assert_allclose(after.features[after.rows], before, atol=1e-6)
    assert opened(folder, embedder).embedded == 0


def test_an_error_of_the_cache_says_what_to_do(folder, embedder, monkeypatch):
    opened(folder, embedder)
    (file,) = folder.parent.glob("cache/*/rows.f32")
    file.unlink()
    file.mkdir()
    with pytest.raises((OSError, ValueError), match=r"cache .*rows.f32.* move"):
        opened(folder, embedder)
    file.rmdir()

    def full(path, *_):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(rows_module, "_write", full)
    with pytest.raises(OSError, match=r"cache .*rows.f32: No space left .*; free sp"):
        opened(folder, embedder)
    monkeypatch.undo()
    assert opened(folder, embedder).embedded == 6
