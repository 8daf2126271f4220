"""Compares the learned balance with fixed branch weights.

python -m benchmarks.balance RUN [RUN ...] [--step 0.5] [--data-root FOLDER]

RUN is the folder of a trained run with a balance. It is evaluated on its validation
identities, never on the test split, so the results may be used to choose weights. The
table shows mAP under each rule, averaged over the runs, for the learned balance and for
all fixed weights of mean 1 in steps of --step, including single branches, sorted by the
clothes-changing rule. Nothing is trained: no loss on the combination reaches the
branches, so the branches do not depend on the weights.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from mbnet_jax.data import load_dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.devices import compilation_cache
from mbnet_jax.devices.mesh import check_divisible, make_mesh
from mbnet_jax.evaluation.embed import Embedded, Embeddings, embed_split
from mbnet_jax.evaluation.embed_function import ALL, make_embed
from mbnet_jax.evaluation.results import rank
from mbnet_jax.runs.run_folder import RunFolder

RULES = ("general", "same_clothes", "clothes_changing")
LEARNED = "learned, image by image"


def main() -> None:
    """Parses the command line, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--step", type=float, default=0.5, help="between two weights")
    parser.add_argument("--data-root", help="replaces the runs' data.root")
    arguments = parser.parse_args()
    compilation_cache.enable()
    try:
        tables = [
            evaluate_run(run, arguments.step, arguments.data_root)
            for run in arguments.runs
        ]
        print(markdown(tables))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def evaluate_run(
    run: Path, step: float, data_root: str | None = None
) -> dict[str, list[float]]:
    """Returns weights -> mAP under each of `RULES`, in 0..1, on validation.

    Raises:
      FileNotFoundError: if `run` holds no run.
      ValueError: if the run has no balance, or no validation identities with known
        cameras and clothes; if `step` does not divide 1, or the number of devices
        does not divide the run's `eval.batch_size`.
    """
    folder = RunFolder(run)
    config = folder.config
    if data_root is not None:
        config.data.root = data_root
    projection = config.model.get("projection", 0)
    if projection or not config.model.balance or len(config.model.branches) < 2:
        replaced = f": model.projection={projection} takes its place" * bool(projection)
        raise ValueError(
            f"{run} has no balance{replaced}; train several branches with "
            "model.balance=True and model.projection=0"
        )
    mesh = make_mesh(jax.local_devices())
    check_divisible("eval.batch_size", config.eval.batch_size, mesh)
    network = folder.load(mesh)
    validation = load_dataset(config).validation
    if validation is None or validation.images.known != {"camera", "clothes"}:
        raise ValueError(
            f"{run} has no validation identities with known cameras and clothes; "
            "train it with data.validation=held_out"
        )
    embeddings = embed_split(
        make_embed(config, network.model, mesh, branches=()),
        network.variables,
        validation.images,
        Loader(config.data, mesh),
        config.eval.batch_size,
    )
    learned = {LEARNED: embeddings.pop(ALL)}
    embedded = Embedded(
        validation.images,
        learned | combinations(embeddings, fixed_weights(len(embeddings), step)),
    )
    query, gallery = (
        embedded.subset(rows) for rows in (validation.query, validation.gallery)
    )
    return {
        name: [rank(query, gallery, name, rule, (1,)).mAP for rule in RULES]
        for name in embedded.embeddings
    }


def fixed_weights(branches: int, step: float) -> list[tuple[float, ...]]:
    """Returns all weights of mean 1 that are multiples of `step`, one per branch.

    Raises:
      ValueError: if 1 is not a multiple of `step`.
    """
    parts = round(1 / step) if step > 0 else 0
    if parts < 1 or not np.isclose(parts * step, 1):
        raise ValueError(f"--step={step:g} must divide 1, such as 0.5 or 0.25")
    return [
        tuple(count / parts for count in counts)
        for counts in itertools.product(range(branches * parts + 1), repeat=branches)
        if sum(counts) == branches * parts
    ]


def combinations(
    embeddings: Embeddings, weights: Sequence[tuple[float, ...]]
) -> Embeddings:
    """Concatenates the branches by each of the weights: name -> [n, sum of d]."""
    combined = {}
    for chosen in weights:
        used = [branch for branch, w in zip(embeddings, chosen, strict=True) if w]
        ratio = " : ".join(f"{weight:g}" for weight in chosen)
        name = f"{used[0]} alone" if len(used) == 1 else ratio
        rows = np.concatenate(
            [w * e for w, e in zip(chosen, embeddings.values(), strict=True)], axis=1
        )
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        combined[name] = (rows / norms).astype(np.float32)
    return combined


def markdown(tables: Sequence[dict[str, list[float]]]) -> str:
    """Returns the table in Markdown: means over the runs in per cent, best first.

    Raises:
      ValueError: if the runs have different branches.
    """
    names = list(tables[0])
    if any(list(table) != names for table in tables):
        raise ValueError("the runs have different branches; compare them one by one")
    means = {name: np.mean([t[name] for t in tables], axis=0) * 100 for name in names}
    titles = [rule.replace("_", "-") for rule in RULES]
    lines = [
        f"mAP on the validation identities, per cent, mean of {len(tables)} runs.\n",
        f"| weights | {' | '.join(titles)} |",
        f"| --- |{' --- |' * len(RULES)}",
    ]
    for name in sorted(names, key=lambda name: -means[name][-1]):
        cells = " | ".join(f"{value:.1f}" for value in means[name])
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
