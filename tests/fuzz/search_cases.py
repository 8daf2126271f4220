"""Galleries and caches of a search: the nearest photographs stay what they are."""

import functools
import json
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import photos

from mbnet_jax.search.cache import DIGESTS
from mbnet_jax.search.gallery import open_gallery
from mbnet_jax.search.nearest import embed_queries, find_nearest

from . import images_cases, mutate, networks
from .case import Case, surface
from .choices import Choices

GLOBAL, BATCH, K = ("global",), 4, 5


@functools.cache
def template() -> Path:
    """A gallery, and its cache."""
    folder = networks.folder() / "search"
    photos.make_folder(folder / "photos")
    opened(folder)
    return folder


@functools.cache
def expected() -> tuple:
    return nearest(template())


def prepare() -> None:
    networks.compile_once()
    expected()


def opened(folder: Path):
    return open_gallery(
        folder / "photos",
        networks.embedder(),
        GLOBAL,
        folder / "cache",
        batch_size=BATCH,
    )


def nearest(folder: Path) -> tuple:
    """The names in the ranked list of two queries, similarities, failures."""
    gallery = opened(folder)
    queries = [template() / "photos" / name for name in ("a.jpg", "day 1/c.png")]
    paths, rows, _ = embed_queries(queries, template(), networks.embedder(), GLOBAL)
    found = find_nearest(paths, rows, gallery, K)
    lists = [[(hit.name, round(hit.similarity, 3)) for hit in q.hits] for q in found]
    return lists, [name for name, _ in gallery.failures]


def _copied(folder: Path) -> Path:
    """The template, whose cache knows the copies by their stamps."""
    shutil.copytree(template() / "photos", folder / "photos")
    shutil.copytree(template() / "cache", folder / "cache")
    return folder


@surface("gallery", share=8, seconds=40)
def gallery(c: Choices, folder: Path) -> Case:
    """A photograph, or what has the name of one, is odd."""
    _copied(folder)
    path = folder / "photos" / c.pick(("odd.jpg", "day 1/odd.png", "z/odd.tif"))
    path.parent.mkdir(exist_ok=True)
    kind = c.pick(("image", "file", "file", "name", "loop"))
    if kind == "image":
        what, _, data = images_cases.odd_image(c)
        path.write_bytes(data)
    elif kind == "file":
        path.write_bytes(b"x")
        what = mutate.odd_file(c, path)
    elif kind == "name":
        name = c.pick(
            (b"\xff\xfe.jpg", "ü" * 60 + ".jpg", "a\nb.jpg", "<b>.jpg", "-k.jpg")
        )
        shutil.copy(
            folder / "photos" / "e.webp",
            os.fsencode(path.parent) + b"/" + os.fsencode(name),
        )
        what = mutate.shown(name)
    else:
        path.symlink_to(path.parent)
        what = "a link to its folder"
    sound, _ = expected()

    def check(found) -> str | None:
        lists, _ = found
        if kind != "name":
            # Without the odd one, the others are where they were.
            for one, wanted in zip(lists, sound, strict=True):
                rest = [hit for hit in one if "odd" not in hit[0]]
                if rest != [hit for hit in wanted if hit in rest][: len(rest)]:
                    return f"{rest} instead of {wanted}"
        return None

    return Case(
        f"{kind} {what}",
        lambda: nearest(folder),
        (path.name,),
        check,
        True,
        writes=(folder / "cache",),
        unsown=(folder / "cache",),
    )


@surface("cache", share=12, seconds=40)
def cache(c: Choices, folder: Path) -> Case:
    """A file of the cache is odd, or another's."""
    _copied(folder)
    opened(folder)  # so that the database knows these files
    files = sorted(p for p in (folder / "cache").rglob("*") if p.is_file())
    path = c.pick([p for p in files if p.stat().st_size] or files)
    kind = c.pick(("bytes",) * 4 + ("file", "swap", "digest", "cut", "model", "rows"))
    if kind == "bytes":
        what, data = mutate.damaged(c, path.read_bytes())
        path.write_bytes(data)
    elif kind == "file":
        what = mutate.odd_file(c, path)
    elif kind == "digest":
        path = folder / "cache" / DIGESTS
        what = c.pick(("NULL", "'text'", "x''", "3", "zeroblob(32)", "randomblob(31)"))
        with sqlite3.connect(path) as database:
            column = c.pick(("digest", "size", "modified"))
            database.execute(f"UPDATE files SET {column} = {what}")
        what = f"{column} = {what}"
    elif kind == "model":
        path = next((folder / "cache").rglob("model.json"))
        what, _, data = mutate.odd_json(c, json.loads(path.read_text()))
        path.write_bytes(data)
    else:
        path = next((folder / "cache").rglob("rows.f32" if kind != "cut" else "keys"))
        data = path.read_bytes()
        what = kind
        if kind == "cut":
            path.write_bytes(data[: c.whole(0, len(data))])
        else:
            rows = np.frombuffer(data, np.float32).reshape(6, -1).copy()
            change = c.pick(("another's", "nan", "zeros", "turned", "double"))
            what = change
            if change == "another's":
                rows = rows[::-1]
            elif change == "turned":
                rows = -rows
            elif change == "double":
                rows[c.whole(0, 5)] *= 2
            else:
                rows[c.whole(0, 5)] = np.nan if change == "nan" else 0
            path.write_bytes(rows.tobytes())
    sound = expected()

    def check(found) -> str | None:
        return None if found == sound else f"{found} instead of {sound}"

    return Case(
        f"{path.name}: {kind} {what}",
        lambda: nearest(folder),
        (path.name, "cache"),
        check,
        writes=(folder / "cache",),
        unsown=(folder / "cache",),
    )
