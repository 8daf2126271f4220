"""Downloads a parser's file from the Hugging Face hub, into the hub's own cache.

The download is of one commit and one SHA-256: a file with other bytes never enters the
cache. What an interruption leaves, `<SHA-256>.part` beside the cache's files, is
continued by the next call.
"""

import contextlib
import hashlib
import queue
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mbnet_jax.files import PART, filename_in_errors, printable
from mbnet_jax.locks import locked
from mbnet_jax.parsing.options import MOST_BYTES
from mbnet_jax.parsing.presets import Source
from mbnet_jax.progress import Bar, progress
from mbnet_jax.refusals import shown

# Seconds; the hub's answer about a file takes far less than one.
_PATIENCE = 6.0
_HEX = {"revision": 40, "sha256": 64}  # digits


class _Stated(NamedTuple):
    """What the hub states about a file."""

    url: str
    sha256: str
    size: int


def download(
    source: Source, revision: str | None, sha256: str | None, instead: str
) -> tuple[Path, str]:
    """Returns the file's path in the hub's cache, downloading what is missing.

    Args:
      source: the file.
      revision: another commit than the source's. None: the source's own.
      sha256: what the file must have. None: the source's, or at another revision the
        one that the hub states.
      instead: what the user may do without a network, after the file was brought.

    Returns:
      The path, and the address that it was downloaded from.

    Raises:
      ValueError: `revision` or `sha256` is none; or the file is not the expected one.
      ConnectionError: it cannot be downloaded; says what to do without a network.
      OSError: it cannot be written.
    """
    _check_hex("revision", revision)
    _check_hex("sha256", sha256)
    commit = revision or source.revision
    expected = sha256 or (source.sha256 if commit == source.revision else None)
    address = source.address(commit)
    try:
        import huggingface_hub as hub
    except ImportError as error:
        raise ValueError(
            f"to download {address}: pip install huggingface_hub; or bring the file "
            f"yourself and {instead}"
        ) from error
    names = {"repo_type": source.kind, "revision": commit}
    cached = hub.try_to_load_from_cache(source.repository, source.file, **names)
    if isinstance(cached, str) and Path(cached).is_file():
        # The hub names its files by their digests.
        wanted = expected or Path(cached).resolve().name
        _check_digest(Path(cached), wanted, address)
        return Path(cached), address
    try:
        stated = _within(_PATIENCE, lambda: _ask(hub, source, names))
        _check_stated(stated, expected, source, commit)
        _fetch(hub, source, stated, commit)
        # Links the file into the cache's folder of the commit.
        found = hub.hf_hub_download(source.repository, source.file, **names)
        return Path(found), address
    except (ValueError, FileExistsError):
        raise
    except Exception as error:  # the hub's have no common base class
        if isinstance(error, OSError) and error.filename:  # the disk's
            raise
        raise ConnectionError(
            f"{source.repository} cannot be downloaded ({_reason(error)}): where there "
            f"is a network, download {address}, put it anywhere on this machine, and "
            f"{instead}"
        ) from error


def _reason(error: Exception) -> str:
    """In a few words, why the hub did not answer."""
    if type(error).__name__ == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE is set"
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return printable(first[:200])


def _check_hex(name: str, value: str | None) -> None:
    digits = _HEX[name]
    if value is not None and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
        raise ValueError(
            f"--{name}={shown(value)} must be {digits} hexadecimal digits, in lower "
            "case"
        )


def check_file(path: Path, sha256: str | None) -> None:
    """Refuses a user's own file whose SHA-256 is not the one that was given.

    Raises:
      ValueError: naming both.
    """
    _check_hex("sha256", sha256)
    if sha256 is not None:
        _check_digest(path, sha256, str(path))


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Returns what `call` returns, if it does so in time.

    A name may have many addresses, each of which would be waited for.
    """
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return answer


def _ask(hub: Any, source: Source, names: dict) -> _Stated:
    """What the hub states about the file; asks once."""
    url = hub.hf_hub_url(source.repository, source.file, **names)
    found = hub.get_hf_file_metadata(url, timeout=_PATIENCE)
    return _Stated(url, found.etag or "", found.size or 0)


def _check_stated(
    stated: _Stated, expected: str | None, source: Source, commit: str
) -> None:
    """Refuses a file before it is downloaded."""
    address = source.address(commit)
    if expected is not None and stated.sha256 != expected:
        raise ValueError(
            f"the hub states the SHA-256 {shown(stated.sha256)} for {address}, not the "
            f"expected {expected}; do not use it, or give its --revision and --sha256"
        )
    if not re.fullmatch("[0-9a-f]{64}", stated.sha256):
        raise ValueError(
            f"the hub states no SHA-256 for {address}; give a --model file"
        )
    most = source.size if commit == source.revision else MOST_BYTES
    if not 0 < stated.size <= most:
        raise ValueError(
            f"the hub states {stated.size:,} bytes for {address}; at most {most:,} are "
            "downloaded"
        )


def _fetch(hub: Any, source: Source, stated: _Stated, commit: str) -> None:
    """Downloads the file to where the hub's cache has it, unless it is there."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import http_get, repo_folder_name

    cache = Path(constants.HF_HUB_CACHE)
    name = repo_folder_name(repo_id=source.repository, repo_type=source.kind)
    blobs = cache / name / "blobs"
    target, part = blobs / stated.sha256, blobs / f"{stated.sha256}{PART}"
    with locked(cache / ".locks" / name / "mbnet_jax"):
        if target.is_file():
            return
        with filename_in_errors(blobs):
            blobs.mkdir(parents=True, exist_ok=True)
        with filename_in_errors(part), part.open("ab") as file:
            if file.tell() > stated.size:
                file.truncate(0)
            start = file.tell()
            _announce(source, stated, commit, start)
            missing = stated.size - start
            if shutil.disk_usage(blobs).free < missing:
                raise OSError(
                    f"{blobs} has no room for {missing:,} bytes; free space, or set "
                    "HF_HOME to another folder"
                )
            with (
                _one_bar(hub),
                progress(
                    stated.size / 1e6,
                    f"downloading {Path(source.file).name}",
                    unit="MB",
                    initial=start / 1e6,
                ) as bar,
            ):
                http_get(
                    stated.url,
                    _Limited(file, stated.size, bar),
                    resume_size=start,
                    headers=hub.utils.build_hf_headers(),
                    expected_size=stated.size,
                )
        try:
            _check_digest(part, stated.sha256, source.address(commit))
        except ValueError:
            part.unlink()
            raise
        part.replace(target)


@contextlib.contextmanager
def _one_bar(hub: Any) -> Iterator[None]:
    """Hides the hub's own display, which knows nothing of a continued download."""
    name = "huggingface_hub.http_get"
    if hub.utils.are_progress_bars_disabled(name):
        yield
        return
    hub.utils.disable_progress_bars(name)
    try:
        yield
    finally:
        hub.utils.enable_progress_bars(name)


class _Limited:
    """A file that is downloaded into, which shows progress and has a largest size."""

    def __init__(self, file: BinaryIO, most: int, bar: Bar):
        self._file, self._most, self._bar = file, most, bar

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        """Appends the data.

        Raises:
          ValueError: the server sends more than it stated.
        """
        if self._file.tell() + len(data) > self._most:
            self._file.truncate(0)
            raise ValueError(
                f"more than the stated {self._most:,} bytes were sent; the same "
                "command starts the download anew"
            )
        written = self._file.write(data)
        self._bar.at(self._file.tell() / 1e6)
        return written


def _announce(source: Source, stated: _Stated, commit: str, start: int) -> None:
    """Says what is about to be downloaded, and under which licence."""
    done = f", {start / 1e6:.0f} MB of it are here already" if start else ""
    print(
        f"downloading {source.file} of {source.page} ({stated.size / 1e6:.0f} MB{done})"
        f"\n  licence: {source.licence}; read {source.page} before you use it"
        f"\n  commit {commit}\n  sha256 {stated.sha256}",
        file=sys.stderr,
    )


def _check_digest(path: Path, expected: str, what: str) -> None:
    """Refuses a file whose SHA-256 is another one; leaves it where it is."""
    with filename_in_errors(path), path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ValueError(
            f"{what} has the SHA-256 {found}, not {expected}; do not use it: delete "
            f"{path} and download it again, or give its own --sha256"
        )
