"""A contact sheet of a synthetic dataset: people, their clothes, parsing maps.

    python -m mbnet_jax.synthetic.sheet --root DIR --out sheet.jpg

Each row shows one person in every outfit at every camera; below it are the parsing
maps. If DIR holds no dataset, the default one is generated first.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic.generate import (
    DONE,
    generate,
    image_path,
    parsing_path,
    plan,
    read_options,
)
from mbnet_jax.synthetic.options import SyntheticOptions


def contact_sheet(root: Path, people: int) -> np.ndarray:
    """Draws `people` people, evenly spaced among those of the dataset in `root`.

    Returns uint8 [people * 2 * H, outfits * cameras * W, 3]: the first image of each
    person, outfit and camera, and its parsing map in `parsing.PALETTE`.

    Raises:
      FileNotFoundError, ValueError: see `read_options`.
    """
    options = read_options(root)
    of_person: dict[int, list] = {}
    for shots in plan(options):
        firsts = [shot for shot in shots if shot.number == 1]
        of_person.setdefault(shots[0].pid, []).extend(firsts)
    pids = np.linspace(1, len(of_person), min(people, len(of_person))).round()
    palette = np.array(parsing.PALETTE, np.uint8)
    rows = []
    for pid in pids.astype(int):
        shots = of_person[pid]
        images = [np.asarray(Image.open(image_path(root, shot))) for shot in shots]
        labels = [np.asarray(Image.open(parsing_path(root, shot))) for shot in shots]
        rows += [np.hstack(images), palette[np.hstack(labels)]]
    return np.vstack(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line, and writes a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="the dataset")
    parser.add_argument("--out", type=Path, required=True, help="the picture to write")
    parser.add_argument("--people", type=int, default=6)
    args = parser.parse_args(arguments)
    try:
        if not (args.root / DONE).exists():
            generate(args.root, SyntheticOptions())
        sheet = contact_sheet(args.root, args.people)
        Image.fromarray(sheet).save(args.out, quality=90)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
