"""The index: lists equal to exact search, filters, and what a fill adds and deletes."""

import datetime
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from photos import write_photo

pytest.importorskip("lancedb", reason="pip install -r requirements-index.txt")

from mbnet_jax.index import table as tables
from mbnet_jax.index.conditions import Conditions
from mbnet_jax.index.fill import fill, open_table
from mbnet_jax.index.labels import Labels
from mbnet_jax.index.narrow import fit
from mbnet_jax.index.nearest import find_in_index
from mbnet_jax.index.table import Entry, IndexTable
from mbnet_jax.retrieval import top_k
from mbnet_jax.search.gallery import open_gallery
from mbnet_jax.search.nearest import COPY, SAME, find_nearest

WIDTH = 24
GLOBAL = ("global",)


class Embedder:
    """Embeds a file as a random direction that its bytes decide."""

    config = SimpleNamespace(data=SimpleNamespace(threads=2), name="made_up")
    step, flip, parser = 7, True, None

    def __init__(self, stop_after: int | None = None):
        self.files: list[str] = []
        self._stop_after = stop_after

    def digest(self, branches, with_maps=True):
        return "0123abcd"

    def origin(self, branches):
        return "origin"

    def width(self, branches):
        return WIDTH

    def row(self, path):
        random = np.random.default_rng(list(path.read_bytes()))
        row = random.standard_normal(WIDTH).astype(np.float32)
        return row / np.linalg.norm(row)

    def stream(self, images, maps, branches, batch_size, failed):
        for start in range(0, len(images), batch_size):
            kept = []
            for index in range(start, min(start + batch_size, len(images))):
                if len(self.files) == self._stop_after:
                    raise KeyboardInterrupt
                self.files.append(images[index].name)
                if "bad" in images[index].name:
                    failed(index, ValueError("is bad"))
                else:
                    kept.append(index)
            yield kept, np.array([self.row(images[index]) for index in kept])


@pytest.fixture
def photos(tmp_path):
    for number in range(12):
        write_photo(
            tmp_path / "photos" / f"{number % 3}" / f"it's {number}.jpg", number
        )
    shutil.copy(tmp_path / "photos/0/it's 0.jpg", tmp_path / "photos/copy.jpg")
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"no image")
    return tmp_path / "photos"


def filled(photos, embedder, narrowing=None, **more):
    uri = os.fspath(photos.parent / "index")
    table = open_table(uri, embedder, GLOBAL, False, narrowing, create=True)
    cache = photos.parent / "cache"
    done = fill(
        table,
        photos,
        embedder,
        GLOBAL,
        cache,
        narrowing=narrowing,
        batch_size=4,
        **more,
    )
    return table, done


def test_a_search_equals_that_without_an_index(photos):
    embedder = Embedder()
    table, done = filled(photos, embedder)
    assert done[:3] == (13, 12, 0) and len(table) == 13
    assert done.failures == [("bad.jpg", "is bad")]
    gallery = open_gallery(photos, embedder, GLOBAL, photos.parent / "cache2")
    queries = [photos / "copy.jpg", photos / "1" / "it's 4.jpg"]
    rows = np.stack([embedder.row(path) for path in queries])
    for k in (1, 5, 100):
        found = find_in_index(queries, rows, table, k)
        expected = find_nearest(queries, rows, gallery, k)
        for one, other in zip(found, expected, strict=True):
            named = [hit._replace(name=str(photos / hit.name)) for hit in other.hits]
            assert one.hits == named
    # Of two photographs with equal content, the first by name is first.
    assert [hit.note for hit in found[0].hits[:2]] == [COPY, SAME]


def test_a_fill_embeds_only_what_is_new(photos):
    filled(photos, Embedder())
    embedder = Embedder()
    table, done = filled(photos, embedder)
    assert done[:3] == (13, 0, 0) and embedder.files == ["bad.jpg"]
    write_photo(photos / "1" / "it's 4.jpg", 99)  # changed
    (photos / "2" / "it's 5.jpg").unlink()
    write_photo(photos / "new.jpg", 100)
    table, done = filled(photos, embedder := Embedder())
    assert done[:3] == (13, 2, 2)
    assert sorted(embedder.files) == ["bad.jpg", "it's 4.jpg", "new.jpg"]
    names = [entry.name for entry in table.entries(os.path.realpath(photos))]
    assert len(names) == 13 and "2/it's 5.jpg" not in names
    # Rows of another gallery stay.
    other = write_photo(photos.parent / "other" / "a.jpg", 5).parent
    done = fill(table, other, Embedder(), GLOBAL, photos.parent / "cache")
    assert done[:3] == (1, 1, 0) and len(table) == 14
    assert filled(photos, Embedder())[1].photographs == 13


def test_an_interrupted_fill_resumes(photos):
    with pytest.raises(KeyboardInterrupt):
        filled(photos, Embedder(stop_after=9))
    table, done = filled(photos, embedder := Embedder())
    assert 0 < done.embedded < 12 and len(table) == done.photographs == 13
    assert len(embedder.files) < 12


def test_rows_that_were_added_twice_are_shown_once(photos):
    table, _ = filled(photos, embedder := Embedder())
    entry = next(table.entries(os.path.realpath(photos)))
    row = embedder.row(photos / entry.name)
    table.add([entry], row[None])
    [found] = find_in_index([photos / entry.name], row[None], table, 14)
    names = [hit.name for hit in found.hits]
    assert len(names) == len({*names}) == 13
    table, done = filled(photos, Embedder())
    assert len(table) == done.photographs == 13


def test_cameras_and_times_select(photos):
    day = datetime.datetime(2026, 5, 1)
    names = [f"{n % 3}/it's {n}.jpg" for n in range(12)]
    labels = {
        name: Labels(f"c'{n % 2}", day + datetime.timedelta(days=n))
        for n, name in enumerate(names)
    }
    table, _ = filled(photos, Embedder())  # without labels; they are added later
    table, done = filled(photos, embedder := Embedder(), labels=labels)
    assert done.embedded == 0 and embedder.files == ["bad.jpg"]
    later = day + datetime.timedelta(days=4)
    last = day + datetime.timedelta(days=9)
    for conditions, expected in (
        (Conditions(("c'1",)), range(1, 12, 2)),
        (Conditions(("c'1", "c'0")), range(12)),
        (Conditions(after=later), range(4, 12)),
        (Conditions(before=later), range(4)),
        (Conditions(("c'0",), later, last), (4, 6, 8)),
        (Conditions(("none",)), ()),
    ):
        query = photos / names[0]
        [found] = find_in_index(
            [query], embedder.row(query)[None], table, 50, conditions
        )
        wanted = {str(photos / names[number]) for number in expected}
        assert {hit.name for hit in found.hits} == wanted
    # A fill without labels keeps them.
    table, _ = filled(photos, Embedder())
    kept = {e.name: e.labels for e in table.entries(os.path.realpath(photos))}
    assert kept == labels | {"copy.jpg": Labels()}


def test_a_narrowed_index_is_one_of_its_own(photos):
    embedder = Embedder()
    random = np.random.default_rng(0).standard_normal((50, WIDTH)).astype(np.float32)
    narrowing = fit(random, 6, True, "origin")
    whole, _ = filled(photos, embedder)
    table, _ = filled(photos, embedder, narrowing)
    assert len(whole) == len(table) == 13 and table.width == 6
    query = photos / "copy.jpg"
    row = narrowing.apply(embedder.row(query)[None])
    [found] = find_in_index([query], row, table, 3)
    assert found.hits[0].similarity == pytest.approx(1, abs=1e-6)
    uri = os.fspath(photos.parent / "index")
    for other, message in (
        (narrowing._replace(source="x"), "of another network"),
        (fit(random[:, :9], 6, True, "origin"), "of width 9, these have 24"),
    ):
        with pytest.raises(ValueError, match=message):
            open_table(uri, embedder, GLOBAL, False, other)
    with pytest.raises(ValueError, match="fill it first: give --gallery"):
        open_table(uri, embedder, GLOBAL, False, narrowing._replace(mean=random[0]))


def test_approximate_lists_have_most_of_the_exact(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LEAST_INDEXED", 1000)
    random = np.random.default_rng(0)
    rows = np.repeat(random.standard_normal((100, 16)), 20, axis=0)
    rows = (rows + 0.5 * random.standard_normal(rows.shape)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    table = IndexTable(os.fspath(tmp_path / "index"), "a-1", 16, create=True)
    entries = [Entry("/g", f"{n:04}", b"k", Labels()) for n in range(len(rows))]
    table.add(entries[:800], rows[:800])
    assert not table.prepare_approximate()  # too few rows
    table.add(entries[800:], rows[800:])
    assert table.prepare_approximate()
    _, expected = top_k(rows[:20], rows, 10)
    paths = [tmp_path / "none"] * 20
    found = find_in_index(paths, rows[:20], table, 10, probes=20)
    names = [{int(hit.name[-4:]) for hit in query.hits} for query in found]
    common = [len(n & {*e}) for n, e in zip(names, expected.tolist(), strict=True)]
    assert np.mean(common) > 9.5


def test_a_database_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for uri, message in (
        ("", "is no URI"),
        (os.fspath(tmp_path / "file"), "cannot be used"),
    ):
        with pytest.raises(ValueError, match=message) as found:
            IndexTable(uri, "a-1", 4, create=True)
        assert "\n" not in str(found.value)
    uri = os.fspath(tmp_path / "index")
    IndexTable(uri, "a-1", 4, create=True)
    with pytest.raises(ValueError, match="of width 4, the network's have 5"):
        IndexTable(uri, "a-1", 5)
