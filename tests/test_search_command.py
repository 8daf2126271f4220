"""The search command: a page without other files, and errors in one line."""

import base64
import io
import os
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from photos import TAG, make_folder, write_photo
from PIL import Image

from mbnet_jax.commands import search
from mbnet_jax.commands.search import main
from mbnet_jax.search import page
from mbnet_jax.search.cache import DIGESTS
from mbnet_jax.search.gallery import Gallery
from mbnet_jax.search.nearest import Hit, Query

pytestmark = pytest.mark.usefixtures("one_block")


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "photos")


class Page(HTMLParser):
    """The elements of a page; asserts that all are closed in order."""

    VOID = ("meta", "link", "img")

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.elements if name == tag]


def run(*arguments) -> None:
    main([str(argument) for argument in arguments])


def test_the_page_needs_no_other_file(whole, folder, capsys, monkeypatch):
    (folder / "bad.jpg").write_bytes(b"no image")
    query, out = write_photo(folder.parent / f"q{TAG}", 70), folder.parent / "page.html"
    shutil.copy(folder / "b.JPG", folder / os.fsdecode(b"\xff.jpg"))
    missing = folder / "gone.jpg"
    arguments = [
        *("--model", whole[0], "--gallery", folder, "--out", out, "--k", 4),
        *("--cache", folder.parent / "cache", "--batch_size", 8),
        *("--query", query, folder / "a.jpg", missing),
    ]
    run(*arguments)
    printed = capsys.readouterr()
    assert printed.out == f"8 photographs, 6 of them embedded now; wrote {out}\n"
    assert f"query {missing} is left out: the photograph" in printed.err
    assert "photograph bad.jpg is left out" in printed.err

    text = out.read_text()
    read = Page(text)
    assert read.all("html") == [{"lang": "en"}] and len(read.all("h1")) == 1
    images = read.all("img")
    assert len(images) == 2 * 5  # each query and its list
    for attributes in images:
        assert attributes["src"].startswith("data:image/jpeg;base64,")
        assert attributes["alt"] and "onerror" not in attributes
    assert [i["alt"] for i in images[5:7]] == ["Query 2", "Rank 1, a.jpg"]
    for outside in ("http:", "https:", "url(", "@import", "<script"):
        assert outside not in text
    for attributes in read.all("a") + read.all("link"):
        assert attributes["href"].startswith(("#", "data:"))
    words = " ".join(read.words)
    assert f"q{TAG}" in words and "the query itself" in words
    assert (
        "bad.jpg : the image of" in words and "Photographs that were left out" in words
    )
    assert "Queries that could not be used: 1" in words

    # Everything is in the cache now.
    run(*arguments)
    assert ", 0 of them embedded now" in capsys.readouterr().out
    # The number of pictures is limited.
    monkeypatch.setattr(page, "_MOST_PICTURES", 6)
    run(*arguments)
    read = Page(out.read_text())
    assert len(read.all("img")) == 6 and read.words.count("no picture") == 4
    assert "first 6 pictures" in " ".join(read.words)


def test_bad_input_ends_in_one_line(whole, folder, capsys, tmp_path):
    photo = folder / "a.jpg"
    good = {
        "model": whole[0],
        "gallery": folder,
        "query": photo,
        "out": tmp_path / "page.html",
        "cache": tmp_path / "cache",
    }
    atr = tmp_path / "atr"
    atr.mkdir()
    (atr / "maps.json").write_text('{"labels": "atr"}')
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / DIGESTS).write_bytes(b"no base" * 100)
    for change, message in (
        ({"model": tmp_path}, "holds no trained network"),
        ({"gallery": tmp_path / "gone"}, "no such folder"),
        ({"query": tmp_path / "gone.jpg"}, "no query can be used"),
        ({"k": 0}, "--k=0 must be a whole number from 1 to 100,000"),
        ({"out": tmp_path}, "is a folder; give the page's file"),
        (
            {"branches": "mask"},
            "of what the network has, each once, in a list: 'global'",
        ),
        ({"query_parsing": atr}, "--query-parsing needs --parsing"),
        ({"parsing": tmp_path / "gone"}, "no such folder of parsing maps"),
        ({"parsing": atr}, "give --parsing-labels=atr"),
        (
            {"cache": damaged},
            "is another program's, or its header is damaged; move it out",
        ),
    ):
        flags = good | change
        with pytest.raises(SystemExit) as ended:
            run(*[part for name in flags for part in (f"--{name}", flags[name])])
        assert message in str(ended.value) and str(ended.value).startswith("error: ")
        assert "\n" not in str(ended.value)
    assert not (tmp_path / "page.html").exists()


def contents(folder):
    """What a write changes of each path; reading a link changes its access time."""
    found = {path: path.lstat() for path in folder.iterdir()}
    return {
        path: (x.st_mode, x.st_ino, x.st_size, x.st_mtime_ns)
        for path, x in found.items()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": -1}, "--k=-1 must be a whole number from 1 to 100,000"),
        ({"k": "x"}, "--k: 'x' must be a whole number"),
        ({"k": "9" * 5000}, "--k: '999"),
        ({"k": 10**30}, "--k=1000000000000000000000000000000 must be"),
        ({"batch_size": 0}, "--batch-size=0 must be a whole number from 1 to 65,536"),
        ({"gallery": ""}, "--gallery: '' is not a file name"),
        ({"gallery": "a\0b"}, r"--gallery: 'a\x00b' is not a file name"),
        ({"gallery": "pipe"}, "no such folder of photographs: --gallery=pipe"),
        ({"gallery": os.fsdecode(b"\xff")}, "--gallery=\ufffd"),
        ({"parsing": "gone"}, "no such folder of parsing maps: --parsing=gone"),
        ({"parsing_labels": "swag"}, "--parsing-labels: invalid choice"),
        ({"model": ""}, "--model: '' is not a file name"),
        ({"model": "pipe"}, "pipe holds no trained network"),
        ({"out": "photo.jpg"}, "--out=photo.jpg exists, and is no page of a search"),
        ({"out": "pipe"}, "--out=pipe exists, and is no page of a search"),
        ({"out": "link.html"}, "--out=link.html exists, and is no page of a search"),
        ({"out": "/dev/null"}, "--out=/dev/null exists, and is no page of a search"),
        ({"out": "photo.jpg/x"}, "photo.jpg cannot be written to (File exists)"),
        ({"nope": 3}, "--nope is no flag of mbnet-search; leave it out, see --help"),
    ],
)
def test_a_wrong_flag_is_named_before_anything_is_loaded(
    tmp_path, monkeypatch, change, message
):
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "photo.jpg", 0)
    os.mkfifo("pipe")
    Path("link.html").symlink_to("away.html")
    before = contents(tmp_path)
    flags = {"gallery": ".", "query": "photo.jpg", "out": "page.html"} | change
    with pytest.raises(SystemExit) as ended:
        run(*[part for name in flags for part in (f"--{name}", flags[name])])
    assert str(ended.value).startswith("error: ") and message in str(ended.value)
    assert str(ended.value).isprintable() and len(str(ended.value)) < 600
    assert contents(tmp_path) == before


def test_names_are_printed_in_one_line(capsys):
    name = os.fsdecode(b"\xff\x1b[31m\n.jpg")
    search._warn_of("query", [(name, "two\n  lines")] * 11)
    line = "warning: query \ufffd\\x1b[31m .jpg is left out: two lines\n"
    rest = "warning: and 1 more; the page lists them\n"
    assert capsys.readouterr().err == 10 * line + rest
    ascii_only = io.TextIOWrapper(io.BytesIO(), "ascii")
    search._say("wrote ä.html", ascii_only)
    ascii_only.flush()
    assert ascii_only.buffer.getvalue() == b"wrote \\xe4.html\n"


def test_the_page_is_bounded(tmp_path, monkeypatch):
    Image.new("RGB", (30_000, 8)).save(tmp_path / "wide.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    data = page._picture(tmp_path / "wide.png").partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (640, 1)
    assert page._picture(tmp_path / "pipe.jpg") is None
    names = [f"{number}.jpg" for number in range(3)]
    for number, name in enumerate(names):
        write_photo(tmp_path / name, number)
    failures = [(os.fsdecode(b"\xff.jpg"), "broken")] * 5
    gallery = Gallery(tmp_path, names, None, None, [], 0, failures)
    queries = [Query(tmp_path / "0.jpg", [Hit(name, 0.5, "") for name in names])]
    monkeypatch.setattr(page, "_MOST_FAILURES", 2)
    most = int(2.5 * len(page._picture(tmp_path / "0.jpg")))
    monkeypatch.setattr(page, "_MOST_CHARACTERS", most)
    text = page.draw_page(queries, gallery, [], "")
    assert text.count("<img") == 2 and "first 2 pictures" in text
    assert text.count("\ufffd.jpg") == 2 and "and 3 more" in text
    file = tmp_path / "page.html"
    file.write_text(text)
    assert page.is_page(file) and not page.is_page(tmp_path / "0.jpg")


def test_pictures_are_upright_and_small(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "wide.jpg"
    Image.new("RGB", (800, 400), "red").save(path, exif=exif)
    data = page._picture(path).partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (80, 160)
    assert page._picture(tmp_path / "gone.jpg") is None
