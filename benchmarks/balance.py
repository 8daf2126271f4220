"""Compares the learned balance with fixed weights of the branches.

python -m benchmarks.balance RUN [RUN ...] [--step 0.5] [--data-root FOLDER]

RUN is the folder of a trained run with a balance. Its people for validation are judged,
never the test's: what is seen here may decide how branches are weighed. The table has
mAP under each rule, the mean over the runs, of the learned balance and of all fixed
weights with a mean of 1 in steps of --step, a single branch among them, from the best
under the clothes-changing rule to the worst. No training: no loss on the combination
reaches the branches, so that whatever the weights, the branches would be the same.
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
from mbnet_jax.evaluation.embed import (
    ALL,
    Embedded,
    Embeddings,
    embed_split,
    make_embed,
)
from mbnet_jax.evaluation.results import rank
from mbnet_jax.runs.load import load_trained
from mbnet_jax.runs.run_folder import load_saved

RULES = ("general", "same_clothes", "clothes_changing")
LEARNED = "learned, image by image"


def main() -> None:
    """Prints the table; bad input ends in one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--step", type=float, default=0.5, help="between two weights")
    parser.add_argument("--data-root", help="in place of the runs' data.root")
    arguments = parser.parse_args()
    compilation_cache.enable()
    try:
        tables = [
            judge_run(run, arguments.step, arguments.data_root)
            for run in arguments.runs
        ]
        print(markdown(tables))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def judge_run(
    run: Path, step: float, data_root: str | None = None
) -> dict[str, list[float]]:
    """What is weighed how -> mAP under each of `RULES`, in 0..1, on validation.

    Raises:
      FileNotFoundError: if there is no such run.
      ValueError: if the run has no balance, or no people for validation whose images
        tell camera and clothes; the step does not divide 1, or the devices not the
        run's `eval.batch_size`.
    """
    config = load_saved(run)
    if data_root is not None:
        config.data.root = data_root
    if not config.model.balance or len(config.model.branches) < 2:
        raise ValueError(
            f"{run} has no balance: train several branches with model.balance=True"
        )
    mesh = make_mesh(jax.local_devices())
    check_divisible("eval.batch_size", config.eval.batch_size, mesh)
    network = load_trained(run, mesh, config=config)
    validation = load_dataset(config).validation
    if validation is None or validation.images.known != {"camera", "clothes"}:
        raise ValueError(
            f"{run} has no people for validation with known cameras and clothes; "
            "train it with data.validation=held_out"
        )
    made = embed_split(
        make_embed(config, network.model, mesh, branches=()),
        network.variables,
        validation.images,
        Loader(config.data, mesh),
        config.eval.batch_size,
    )
    learned = {LEARNED: made.pop(ALL)}
    embedded = Embedded(
        validation.images, learned | combinations(made, fixed_weights(len(made), step))
    )
    query, gallery = (
        embedded.subset(places) for places in (validation.query, validation.gallery)
    )
    return {
        name: [rank(query, gallery, name, rule, (1,)).mAP for rule in RULES]
        for name in embedded.embeddings
    }


def fixed_weights(branches: int, step: float) -> list[tuple[float, ...]]:
    """All weights of `branches` branches that are multiples of `step`, of mean 1.

    Raises:
      ValueError: if 1 is no multiple of the step.
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
    """The branches' embeddings by each of the weights: name -> [n, sum of d]."""
    combined = {}
    for chosen in weights:
        used = [branch for branch, w in zip(embeddings, chosen, strict=True) if w]
        named = " : ".join(f"{weight:g}" for weight in chosen)
        name = f"{used[0]} alone" if len(used) == 1 else named
        rows = np.concatenate(
            [w * e for w, e in zip(chosen, embeddings.values(), strict=True)], axis=1
        )
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        combined[name] = (rows / norms).astype(np.float32)
    return combined


def markdown(tables: Sequence[dict[str, list[float]]]) -> str:
    """Means over the runs, in per cent; the best under the last rule first.

    Raises:
      ValueError: if the runs have different branches.
    """
    names = list(tables[0])
    if any(list(table) != names for table in tables):
        raise ValueError("the runs have different branches; compare them one by one")
    means = {name: np.mean([t[name] for t in tables], axis=0) * 100 for name in names}
    titles = [rule.replace("_", "-") for rule in RULES]
    lines = [
        f"mAP on the people for validation, per cent, mean of {len(tables)} runs.\n",
        f"| weights | {' | '.join(titles)} |",
        f"| --- |{' --- |' * len(RULES)}",
    ]
    for name in sorted(names, key=lambda name: -means[name][-1]):
        cells = " | ".join(f"{value:.1f}" for value in means[name])
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
