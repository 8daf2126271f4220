"""Times a search in a gallery of many photographs whose embeddings are cached.

python -m benchmarks.search --model runs/synthetic [--photographs 100000]
    [--queries 10] [--k 20] [--repeats 5]

The photographs are small files of different content; their cached embeddings are
random. Before the timing starts, the network is loaded, and compiled by embedding as
many photographs as there are queries. The rest of a search is timed:

queries: reading and embedding the queries.
folder, cache: listing the folder, comparing every file's timestamp with the cache,
    reading keys, checking the digest of each row, and memory-mapping the rows.
nearest: the exact lists by `top_k`; in the first search, including its compilation.
page: making thumbnails, and writing the page.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.devices import peak_memory, reset_peak_memory, run_alone
from mbnet_jax.files import write_whole
from mbnet_jax.search.cache import DIGESTS, model_folder
from mbnet_jax.search.digests import Digests
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.gallery import open_gallery
from mbnet_jax.search.nearest import embed_queries, find_nearest
from mbnet_jax.search.page import draw_page
from mbnet_jax.search.photographs import list_photographs
from mbnet_jax.search.rows import Rows

BRANCHES = ("global",)
PARTS = ("queries", "folder, cache", "nearest", "page")
IN_A_FOLDER = 1000
HEADER = f"| search | {' | '.join(PARTS)} | all | memory | page |"


def main() -> None:
    """Measures in a separate process, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="a trained network")
    parser.add_argument("--photographs", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments)))
        return
    options = [
        f"--{name}={value}"
        for name, value in vars(arguments).items()
        if name != "measure"
    ]
    print(run_alone("benchmarks.devices"))
    found = json.loads(run_alone("benchmarks.search", "--measure", *options))
    print(
        f"{arguments.photographs:,} photographs, rows of width {found['width']}, "
        f"{arguments.queries} queries, k = {arguments.k}"
    )
    print(f"\n{HEADER}\n|{'---|' * (HEADER.count('|') - 1)}")
    memory = f"{found['memory'] / 2**20:,.0f} MiB | {found['page'] / 2**20:.1f} MiB |"
    for name in ("first", "later"):
        seconds = [found[name][part] for part in PARTS]
        cells = [f"{value:.2f} s" for value in (*seconds, sum(seconds))]
        print(f"| {name} | {' | '.join(cells)} | {memory}")


def measure(arguments: argparse.Namespace) -> dict:
    """Measures the parts' seconds: the first search, and the medians of later ones."""
    embedder = Embedder.load(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        photos, cache = root / "photos", root / "cache"
        make_photos(photos, arguments.photographs)
        fill_cache(embedder, photos, cache)
        queries = make_photos(root / "queries", arguments.queries, seed=1)
        embed_queries(queries, photos, embedder, BRANCHES)  # compiles the network
        before = reset_peak_memory()
        searches = [
            search(embedder, photos, cache, queries, arguments.k, root / "page.html")
            for _ in range(1 + arguments.repeats)
        ]
        return {
            "width": embedder.width(BRANCHES),
            "first": searches[0],
            "later": {
                part: float(np.median([one[part] for one in searches[1:]]))
                for part in PARTS
            },
            "memory": peak_memory() - before,
            "page": (root / "page.html").stat().st_size,
        }


def search(
    embedder: Embedder,
    photos: Path,
    cache: Path,
    queries: list[Path],
    k: int,
    out: Path,
) -> dict[str, float]:
    """Runs a search with a loaded network; returns the seconds of each part."""
    times = [time.perf_counter()]
    paths, rows, failed = embed_queries(queries, photos, embedder, BRANCHES)
    times.append(time.perf_counter())
    gallery = open_gallery(photos, embedder, BRANCHES, cache)
    times.append(time.perf_counter())
    found = find_nearest(paths, rows, gallery, k)
    times.append(time.perf_counter())
    write_whole(
        out, draw_page(found, gallery, failed, "", embedder.config.data.threads)
    )
    times.append(time.perf_counter())
    if gallery.embedded or gallery.failures:
        raise RuntimeError("not everything was in the cache")
    return dict(zip(PARTS, np.diff(times).tolist(), strict=True))


def make_photos(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Writes small photographs of different content, a thousand per sub-folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    picture = rng.integers(0, 255, (128, 64, 3), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "picture.jpg", quality=50)
    data = (folder / "picture.jpg").read_bytes()
    (folder / "picture.jpg").unlink()
    paths = []
    for number in range(count):
        path = folder / f"{number // IN_A_FOLDER:04d}" / f"{number:07d}.jpg"
        path.parent.mkdir(exist_ok=True)
        # Decoders ignore what follows the end of a JPEG.
        path.write_bytes(data + f"{seed} {number}".encode())
        paths.append(path)
    return paths


def fill_cache(embedder: Embedder, photos: Path, cache: Path) -> None:
    """Caches random rows for the photographs, as if they had been embedded."""
    cache.mkdir()
    digests = Digests(cache / DIGESTS, threads=8)
    keys = list(digests.of(photos, list_photographs(photos)[0])[0].values())
    digests.close()
    width = embedder.width(BRANCHES)
    rows = Rows(model_folder(cache, embedder, BRANCHES), width, key_bytes=len(keys[0]))
    rng = np.random.default_rng(2)
    for start in range(0, len(keys), 10_000):
        part = keys[start : start + 10_000]
        random = rng.standard_normal((len(part), width), dtype=np.float32)
        rows.add(part, random / np.linalg.norm(random, axis=1, keepdims=True))


if __name__ == "__main__":
    main()
