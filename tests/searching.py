"""A search of the tests, and counts of what it reads and embeds."""

from pathlib import Path

from mbnet_jax.search import digests
from mbnet_jax.search.digests import digest_of
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.gallery import open_gallery

GLOBAL = ("global",)


class Counting:
    """An embedder that records which files it was given."""

    def __init__(self, embedder: Embedder):
        self._embedder = embedder
        self.files: list[str] = []

    def __getattr__(self, name):
        return getattr(self._embedder, name)

    def stream(self, images, *args, **kwargs):
        self.files += [path.name for path in images]
        return self._embedder.stream(images, *args, **kwargs)


def read_files(monkeypatch) -> list[str]:
    """Returns a list to which the name of each file read from now on is added."""
    names = []

    def counted(path):
        names.append(Path(path).name)
        return digest_of(path)

    monkeypatch.setattr(digests, "digest_of", counted)
    return names


def opened(folder, embedder, **kwargs):
    cache = kwargs.pop("cache", folder.parent / "cache")
    return open_gallery(folder, embedder, GLOBAL, cache, batch_size=4, **kwargs)
