"""Which files of a dataset were checked before, so that each is decoded once."""

import contextlib
import hashlib
from pathlib import Path

from mbnet_jax.data.file_states import States
from mbnet_jax.files import read_bytes, write_whole

FILE = "checked"  # beside the prepared copies
_HEADER = b"mbnet_jax: files that were checked\n"
_BYTES = 16  # of a digest


class Checked:
    """The files of a dataset that are known to be sound, remembered on disk.

    Each record's files are named by a digest of names, sizes and times; where there is
    a map, of the label set too. If two processes save at once, one's file is kept.
    """

    def __init__(self, folder: Path, states: States, label_set: str | None):
        """Reads what is remembered in `folder`: nothing if the file is damaged.

        Args:
          folder: with the file.
          states: of the dataset's files, as `file_states` returns them.
          label_set: of the parsing maps, or None.
        """
        self._folder = folder
        self._digests = {
            split: [_digest(state, label_set) for state in lines]
            for split, lines in states.items()
        }
        self._sound = {*_read(folder / FILE)}

    def known(self, split: str) -> list[bool]:
        """Which records of a split have files that are known to be sound."""
        return [digest in self._sound for digest in self._digests[split]]

    def add(self, split: str, index: int) -> None:
        """Marks the files of a record as sound."""
        self._sound.add(self._digests[split][index])

    def save(self) -> None:
        """Remembers the sound files of this dataset, if the disk has room."""
        body = b"".join(
            digest
            for digests in self._digests.values()
            for digest in digests
            if digest in self._sound
        )
        with contextlib.suppress(OSError):  # they would be decoded once more
            write_whole(self._folder / FILE, _HEADER + body + _total(body))


def _digest(state: str, label_set: str | None) -> bytes:
    has_map = state.count("\0") > 2
    text = f"{state}\0{label_set}" if has_map else state
    data = text.encode(errors="surrogateescape")
    return hashlib.blake2b(data, digest_size=_BYTES).digest()


def _read(path: Path) -> list[bytes]:
    try:
        data = read_bytes(path)
    except (OSError, ValueError):
        return []
    body, total = data[len(_HEADER) : -_BYTES], data[-_BYTES:]
    if not data.startswith(_HEADER) or _total(body) != total:
        return []
    return [body[at : at + _BYTES] for at in range(0, len(body), _BYTES)]


def _total(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_BYTES).digest()
