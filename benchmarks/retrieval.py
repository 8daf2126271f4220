"""Times the retrieval metrics against the bare product of the same features.

python -m benchmarks.retrieval [--cases ltcc market ...] [--repeats 7]

Each case runs in its own process, which gives its peak memory. Features are random;
labels have as many people and cameras as the dataset. Times are medians; runs that are
compared with each other alternate.
"""

import argparse
import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax import lax

from benchmarks.devices import peak_memory, reset_peak_memory, run_alone
from mbnet_jax.retrieval import Labels, rerank, retrieval_metrics, top_k


class Case(NamedTuple):
    """Sizes of a benchmark; people have different numbers of images."""

    queries: int
    gallery: int
    width: int
    people: int
    cameras: int
    rule: str = "general"
    mapped: bool = False  # the gallery is a memory-mapped file
    compared: bool = True  # with the bare product and with a sorting evaluation
    reranked: bool = False


CASES = {
    "ltcc": Case(493, 7050, 4096, 75, 12),
    "ltcc_changing": Case(493, 7050, 4096, 75, 12, "clothes_changing"),
    "prcc": Case(3543, 3384, 4096, 71, 3),
    "market": Case(3368, 15913, 2048, 750, 6),
    "market_reranked": Case(3368, 15913, 2048, 750, 6, compared=False, reranked=True),
    "msmt17": Case(11659, 82161, 2048, 3060, 15, compared=False),
    "million": Case(1000, 1_000_000, 512, 50_000, 6, mapped=True, compared=False),
}
DENSE, WIDTH = (500, 3000), 2048  # what the dense original can hold in memory
HEADER = (
    "| case | queries x gallery x width | NumPy: metrics | product | ratio "
    "| JAX: metrics | product | ratio | product, argsort | compile | memory |"
)


def main() -> None:
    """Runs the cases and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(CASES[arguments.one], arguments.repeats)))
        return
    print(run_alone("benchmarks.devices"))
    print(f"\n{HEADER}\n|{'---|' * HEADER.count(' | ')}---|")
    for name in arguments.cases:
        found = run_alone(
            "benchmarks.retrieval", "--one", name, "--repeats", str(arguments.repeats)
        )
        print(row(name, json.loads(found)), flush=True)
    print(f"\nbfloat16: cosines differ by up to {bfloat16_error():.1e}")
    sparse, dense, error = reranking_times()
    print(
        f"re-ranking {DENSE[0]:,} + {DENSE[1]:,} x {WIDTH:,}: {sparse:.1f} s, plain "
        f"dense NumPy {dense:.1f} s; distances differ by up to {error:.0e}"
    )


def row(name: str, found: dict) -> str:
    """Formats a row of the table."""

    def seconds(key: str) -> str:
        return f"{found[key]:.2f} s" if key in found else "-"

    def ratio(one: str, other: str) -> str:
        return f"{found[one] / found[other]:.2f}" if other in found else "-"

    case = CASES[name]
    return " | ".join(
        [
            f"| {name}",
            f"{case.queries:,} x {case.gallery:,} x {case.width:,}",
            seconds("metrics"),
            seconds("product"),
            ratio("metrics", "product"),
            seconds("jax_metrics"),
            seconds("jax_product"),
            ratio("jax_metrics", "jax_product"),
            seconds("argsort"),
            seconds("compile"),
            f"{found['memory'] / 2**20:,.0f} MiB |",
        ]
    )


def measure(case: Case, repeats: int) -> dict[str, float]:
    """Measures a case: the seconds of each function, and the bytes of memory."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        query = rng.standard_normal((case.queries, case.width), dtype=np.float32)
        gallery = features(rng, case, Path(folder))
        labels = labels_of(rng, case)
        evaluate = functools.partial(
            run_case, case, query, labels[0], gallery, labels[1]
        )
        jax.devices()  # so that the runtime's own memory is not counted
        before = reset_peak_memory()
        compiling = compile_times()
        evaluate()
        competitors = {"metrics": evaluate}
        found = {"memory": peak_memory() - before, "compile": sum(compiling)}
        if case.compared:
            competitors |= rivals(case, query, labels[0], gallery, labels[1])
        times = {name: [] for name in competitors}
        # A single run is enough for what takes minutes.
        for _ in range(repeats if case.compared else 1):
            for name, function in competitors.items():
                times[name].append(timed(function))
    found |= {name: float(np.median(taken)) for name, taken in times.items()}
    return found


def compile_times() -> list[float]:
    """Returns a list that grows by the seconds of every tracing and compilation."""
    times = []

    def listen(event: str, seconds: float, **_) -> None:
        if event.startswith("/jax/core/compile/"):
            times.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return times


def run_case(case: Case, query, query_labels, gallery, gallery_labels) -> None:
    """Evaluates the case; this is what is measured."""
    retrieval_metrics(
        query,
        query_labels,
        gallery,
        gallery_labels,
        rule=case.rule,
        reranking=rerank(query, gallery) if case.reranked else None,
    )


def features(rng: np.random.Generator, case: Case, folder: Path) -> np.ndarray:
    """Draws random gallery features, in a memory-mapped file if the case is mapped."""
    shape = (case.gallery, case.width)
    if not case.mapped:
        return rng.standard_normal(shape, dtype=np.float32)
    file = folder / "gallery.npy"
    array = np.lib.format.open_memmap(file, "w+", np.float32, shape)
    for start in range(0, case.gallery, 10_000):
        rows = array[start : start + 10_000]
        rng.standard_normal(out=rows, dtype=np.float32)
    array.flush()
    del array
    return np.load(file, mmap_mode="r")


def labels_of(rng: np.random.Generator, case: Case) -> tuple[Labels, Labels]:
    """Draws labels of queries and gallery, in random order."""
    weights = rng.lognormal(sigma=0.5, size=case.people)

    def draw(size: int) -> Labels:
        person = rng.choice(case.people, size, p=weights / weights.sum())
        camera, clothes = rng.integers(0, case.cameras, size), rng.integers(0, 5, size)
        return Labels(person, camera, clothes)

    return draw(case.queries), draw(case.gallery)


def rivals(
    case: Case, query, query_labels, gallery, gallery_labels
) -> dict[str, Callable]:
    """Returns the functions that the metrics are compared with."""
    dot = jax.jit(
        lambda a, b: lax.dot_general(
            a, b, (((1,), (1,)), ((), ())), precision=lax.Precision.HIGHEST
        )
    )
    on_device = jax.device_put(query), jax.device_put(gallery)
    arguments = on_device[0], query_labels, on_device[1], gallery_labels
    functions = {
        "jax_metrics": functools.partial(run_case, case, *arguments),
        "jax_product": lambda: dot(*on_device).block_until_ready(),
        "product": lambda: query @ gallery.T,
        "argsort": functools.partial(
            sort_and_evaluate, query, query_labels, gallery, gallery_labels
        ),
    }
    functions["jax_metrics"]()
    functions["jax_product"]()
    return functions


def sort_and_evaluate(query, query_labels, gallery, gallery_labels) -> float:
    """Evaluates as is usual, vectorised: sorts the full matrix; mAP, general rule."""
    order = np.argsort(-(query @ gallery.T), axis=1)
    person, camera = gallery_labels.pid[order], gallery_labels.camera[order]
    same = person == query_labels.pid[:, None]
    junk = same & (camera == query_labels.camera[:, None])
    precisions = []
    for match, kept in zip(same & ~junk, ~junk, strict=True):
        hits = match[kept]
        if hits.any():
            ranks = np.flatnonzero(hits) + 1
            precisions.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    return float(np.mean(precisions))


def bfloat16_error() -> float:
    """Returns the greatest error of a similarity among each query's nearest 100."""
    rng = np.random.default_rng(0)
    query, gallery = (
        rng.standard_normal((rows, 2048), dtype=np.float32) for rows in (500, 5000)
    )
    exact, _ = top_k(query, gallery, 100)
    rough, _ = top_k(query, gallery, 100, dtype="bfloat16")
    return float(np.abs(exact - rough).max())


def reranking_times() -> tuple[float, float, float]:
    """Returns the seconds of the sparse and the dense algorithm, and their difference.

    Features have as many clusters as a dataset would have people.
    """
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    import rerank_reference

    rng = np.random.default_rng(0)
    centre = rng.standard_normal((DENSE[1] // 20, WIDTH), dtype=np.float32)
    query, gallery = (
        centre[rng.integers(0, len(centre), rows)]
        + 3 * rng.standard_normal((rows, WIDTH), dtype=np.float32)
        for rows in DENSE
    )

    def sparse() -> tuple[np.ndarray, np.ndarray]:
        return top_k(query, gallery, 100, reranking=rerank(query, gallery))

    values, indices = sparse()
    start = time.perf_counter()
    rows = np.concatenate([query, gallery]).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    distances = np.maximum(2 - 2 * rows @ rows.T, 0)
    expected = rerank_reference.rerank_distances(distances, len(query))
    dense = time.perf_counter() - start
    error = np.abs(values + np.take_along_axis(expected, indices, axis=1)).max()
    return timed(sparse), dense, float(error)


def timed(function: Callable) -> float:
    """Returns the seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
