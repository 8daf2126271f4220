"""The search command: a page without other files, and errors in one line."""

import base64
import io
import os
import shutil
from html.parser import HTMLParser

import pytest
from photos import TAG, make_folder, write_photo
from PIL import Image

from mbnet_jax.commands.search import main
from mbnet_jax.search import page
from mbnet_jax.search.gallery import DIGESTS

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
        ({"query_parsing": atr}, "--query_parsing needs --parsing"),
        ({"parsing": tmp_path / "gone"}, "no such folder of parsing maps"),
        ({"parsing": atr}, "give --parsing_labels=atr"),
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


def test_pictures_are_upright_and_small(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "wide.jpg"
    Image.new("RGB", (800, 400), "red").save(path, exif=exif)
    data = page._picture(path).partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (80, 160)
    assert page._picture(tmp_path / "gone.jpg") is None
