"""How hard a synthetic dataset is: three yardsticks for a network's scores.

    python -m mbnet_jax.synthetic.yardsticks --root DIR

They are chance, ranking by the colours of the clothes, and ranking by the person's
true parameters. The second must do well where people keep their clothes and drop to
chance where they change them; the third must be near 100 % throughout. If DIR holds
no dataset, the default one is generated first.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.retrieval import Labels, chance_level, retrieval_metrics
from mbnet_jax.synthetic.generate import (
    DONE,
    Shot,
    generate,
    image_path,
    map_paths,
    plan,
    read_options,
)
from mbnet_jax.synthetic.options import SyntheticOptions
from mbnet_jax.synthetic.people.identity import sample_identity

_RULES = ("general", "same_clothes", "clothes_changing")
_BINS = (6, 12, 12)  # of CIE L, a and b
_LAB_RANGE = ((0, 100), (-50, 50), (-50, 50))


def clothes_histogram(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Returns colour histograms of the upper and the lower clothes.

    Args:
      image: uint8 [h, w, 3] BGR.
      label: uint8 [h, w] canonical labels.

    Returns:
      float64 [1728]: square roots of two CIE Lab histograms of 864 bins, each of
      which sums to 1 (and is uniform if the garment is not visible), so that the
      inner product is the Bhattacharyya coefficient. Counts are spread over
      neighbouring bins, because a camera's colour cast shifts colours a little.
    """
    lab = cv2.cvtColor(np.float32(image) / 255, cv2.COLOR_BGR2LAB)
    parts = []
    for garment in parsing.CLOTHING:
        counts, _ = np.histogramdd(lab[label == garment], _BINS, _LAB_RANGE)
        for axis in range(3):
            edges = [(int(k == axis),) * 2 for k in range(3)]
            padded = np.moveaxis(np.pad(counts, edges, mode="edge"), axis, 0)
            spread = padded[:-2] / 4 + padded[1:-1] / 2 + padded[2:] / 4
            counts = np.moveaxis(spread, 0, axis)
        if not counts.sum():
            counts = np.ones_like(counts)
        parts.append(np.sqrt(counts / counts.sum()).ravel())
    return np.concatenate(parts)


def identity_vector(options: SyntheticOptions, shot: Shot) -> np.ndarray:
    """Returns the true parameters of a shot's person, float64 [d]."""
    return sample_identity(options, shot.pid).parameters()


def _labels(shots: Sequence[Shot]) -> Labels:
    return Labels(
        pid=np.array([shot.pid for shot in shots]),
        camera=np.array([shot.camera for shot in shots]),
        clothes=np.array([shot.outfit for shot in shots]),
    )


def yardsticks(root: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Evaluates each yardstick on the queries and the gallery of a dataset.

    Args:
      root: a complete synthetic dataset.

    Returns:
      yardstick -> rule -> (mAP, Rank-1), in 0..1. Chance is the exact expectation.

    Raises:
      FileNotFoundError, ValueError: see `read_options`; ValueError also if the dataset
        has no test identities.
    """
    options = read_options(root)
    shots = [shot for cell in plan(options) for shot in cell if shot.split != "train"]
    query = [shot for shot in shots if shot.split == "query"]
    gallery = [shot for shot in shots if shot.split == "gallery"]
    if not query:
        raise ValueError(
            f"{root} has no test identities, so nothing can be ranked; generate it "
            "with test_identities of at least 2"
        )
    labels = _labels(query), _labels(gallery)

    def histograms(shots: Sequence[Shot]) -> np.ndarray:
        return np.stack(
            [
                clothes_histogram(
                    cv2.imread(str(image_path(root, shot))),
                    # The exact map, where there is one.
                    np.array(Image.open(map_paths(root, shot, options)[-1])),
                )
                for shot in shots
            ]
        )

    def identities(shots: Sequence[Shot]) -> np.ndarray:
        return np.stack([identity_vector(options, shot) for shot in shots])

    def score(query_features, gallery_features):
        scores = {}
        for rule in _RULES:
            found = retrieval_metrics(
                query_features,
                labels[0],
                gallery_features,
                labels[1],
                rule=rule,
                ranks=(1,),
            )
            scores[rule] = (found.mAP, found.cmc[1])
        return scores

    chance = {}
    for rule in _RULES:
        expected = chance_level(*labels, rule, (1,))
        chance[rule] = (expected["mAP"], expected["rank1"])
    return {
        "chance": chance,
        "clothes histogram": score(histograms(query), histograms(gallery)),
        "true identity": score(identities(query), identities(gallery)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line, and prints the table of the yardsticks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="the dataset")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the dataset, if it is generated"
    )
    args = parser.parse_args(arguments)
    try:
        if not (args.root / DONE).exists():
            generate(args.root, SyntheticOptions(seed=args.seed))
        table = yardsticks(args.root)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    heads = "".join(f"{rule.replace('_', '-'):>20}" for rule in _RULES)
    print(f"{'mAP / Rank-1, %':<20}{heads}")
    for name, scores in table.items():
        cells = "".join(
            f"{100 * scores[rule][0]:>12.1f} / {100 * scores[rule][1]:>5.1f}"
            for rule in _RULES
        )
        print(f"{name:<20}{cells}")


if __name__ == "__main__":
    main()
