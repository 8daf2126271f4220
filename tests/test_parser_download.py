"""The download of a parser's file, from a hub on this machine."""

import socket
import time
from pathlib import Path

import numpy as np
import pytest
from fake_hub import REVISION, FakeHub, serving
from huggingface_hub import constants

from mbnet_jax.parsing import download as module
from mbnet_jax.parsing.download import download
from mbnet_jax.progress import bar

INSTEAD = "give --model FILE --preset segformer"


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Makes the hub's library use an address, and a cache of the test's own."""

    def use(address: str) -> None:
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    return use


@pytest.fixture
def hub(use):
    found = FakeHub(np.random.default_rng(0).bytes(300_000))
    with serving(found) as address:
        use(address)
        yield found


def parts(tmp_path: Path) -> list[Path]:
    return [*tmp_path.rglob("*.part")]


def test_a_file_is_downloaded_once_and_its_licence_said_before(
    hub, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(bar, "DELAY", 0)
    path, address = download(hub.source(), None, None, INSTEAD)
    assert path.read_bytes() == hub.data and path.is_relative_to(tmp_path / "hub")
    assert address.endswith(f"people/parser/resolve/{REVISION}/onnx/model.onnx")
    said = capsys.readouterr().err
    assert said.index("licence: free for tests; read https://") < said.index("MB in ")
    assert f"commit {REVISION}" in said and f"sha256 {hub.sha256}" in said
    assert "(0 MB)" in said and not parts(tmp_path)
    asked = len(hub.requests)
    assert download(hub.source(), None, None, INSTEAD) == (path, address)
    assert len(hub.requests) == asked and not capsys.readouterr().err


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_is_continued(
    hub, tmp_path, capsys, monkeypatch, ranges
):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between its attempts
    hub.cut = 0
    with pytest.raises(ConnectionError, match="people/parser cannot be downloaded"):
        download(hub.source(), None, None, INSTEAD)
    part = parts(tmp_path)[0]
    part.write_bytes(hub.data[:100_000])
    hub.cut, hub.ranges = None, ranges
    hub.requests.clear()
    try:
        path, _ = download(hub.source(), None, None, INSTEAD)
    except ValueError as error:  # versions of the hub's library that need a range
        assert not ranges and "command starts the download anew" in str(error)
        path, _ = download(hub.source(), None, None, INSTEAD)
    assert path.read_bytes() == hub.data and not parts(tmp_path)
    gets = [asked for method, _, asked in hub.requests if method == "GET"]
    assert gets[0] == "bytes=100000-" and (len(gets) == 1 or not ranges)


def test_other_bytes_never_enter_the_cache(hub, tmp_path):
    stated = hub.sha256
    hub.data = bytes(len(hub.data))  # of the stated size
    with pytest.raises(ValueError, match=f"has the SHA-256 .*, not {stated}; do not"):
        download(hub.source(sha256=stated), None, None, INSTEAD)
    assert not parts(tmp_path) and not [*tmp_path.rglob("model.onnx")]
    assert not [p for p in tmp_path.rglob(stated) if p.is_file()]


def test_a_file_that_changed_in_the_cache_is_refused(hub):
    path, _ = download(hub.source(), None, None, INSTEAD)
    path.write_bytes(b"other")
    for sha256 in (None, hub.sha256):
        with pytest.raises(ValueError, match=f"not {hub.sha256}; do not use it: del"):
            download(hub.source(sha256=hub.sha256), None, sha256, INSTEAD)
    # Of a commit without a known digest, the hub's name of the file says it.
    with pytest.raises(ValueError, match=f"not {hub.sha256}"):
        download(hub.source(revision="2" * 40), REVISION, None, INSTEAD)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"sha256": "f" * 64}, "the hub states the SHA-256 'ffff.* not the expected"),
        ({"size": 300_001}, "the hub states 300,001 bytes .*; at most 300,000 are"),
        ({"size": 0}, "the hub states 0 bytes"),
    ],
)
def test_what_the_hub_states_is_checked_before_the_download(hub, stated, message):
    source = hub.source()
    for name, value in stated.items():
        setattr(hub, name, value)
    with pytest.raises(ValueError, match=message):
        download(source, None, None, INSTEAD)
    assert [method for method, *_ in hub.requests] == ["HEAD"]


def test_another_commit_may_be_given(hub):
    other = "2" * 40
    hub.data = hub.data[:1000]  # smaller than the source's
    known = hub.source()
    hub.sha256 = FakeHub(hub.data).sha256
    hub.size = len(hub.data)
    path, address = download(known, other, None, INSTEAD)
    assert path.read_bytes() == hub.data and f"/resolve/{other}/" in address
    with pytest.raises(ValueError, match="the expected 0000"):
        download(known, "3" * 40, "0" * 64, INSTEAD)
    hub.sha256 = "main"  # of a file that is not a large one, the hub states no SHA-256
    with pytest.raises(ValueError, match="states no SHA-256 for https"):
        download(known, "3" * 40, None, INSTEAD)
    for wrong in ("main", "2" * 39, "G" * 40):
        with pytest.raises(ValueError, match=r"--revision='.* must be 40 hexadecimal"):
            download(known, wrong, None, INSTEAD)


def test_more_than_was_stated_is_not_written(hub, tmp_path):
    hub.size = 200_000
    with pytest.raises((ValueError, ConnectionError), match=r"200,?000|sent|bytes"):
        download(hub.source(size=200_000), None, None, INSTEAD)
    assert all(part.stat().st_size <= 200_000 for part in parts(tmp_path))
    assert not [*tmp_path.rglob("model.onnx")]


def refused(source) -> str:
    """The one line that the user sees."""
    with pytest.raises(ConnectionError) as found:
        download(source, None, None, INSTEAD)
    text = str(found.value)
    assert "\n" not in text and source.address() in text and text.endswith(INSTEAD)
    return text


def test_without_a_network_one_sentence_says_what_to_do(use, monkeypatch):
    source = FakeHub(b"data").source()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        use(f"http://127.0.0.1:{port}")
        with monkeypatch.context() as impatient:
            impatient.setattr(module, "_PATIENCE", 0.5)
            start = time.monotonic()
            text = refused(source)  # connects, but nobody answers
            assert "no answer within 0.5 s" in text or "timed out" in text
            assert time.monotonic() - start < 8  # the library alone waits for 10
    # Other reasons are known at once, however slow the machine is.
    monkeypatch.setattr(module, "_PATIENCE", 60.0)
    assert "no answer within" not in refused(source)  # nobody listens
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "(HF_HUB_OFFLINE is set)" in refused(source)


def test_a_missing_file_is_named(hub):
    with pytest.raises(ConnectionError, match="people/parser cannot be downloaded"):
        download(hub.source(file="none.onnx"), None, None, INSTEAD)


def test_a_full_disk_is_named_before_the_download(hub, monkeypatch):
    usage = module.shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="blobs has no room for 300,000 bytes; free spa"):
        download(hub.source(), None, None, INSTEAD)
