"""Measures where the attention of FAM and the gate of KTM lie.

python -m benchmarks.attention_on_person RUN [RUN ...] [--images N] [--data-root FOLDER]

RUN is the folder of a trained run. Its maps of test images are compared with what they
are to lie on: FAM's attention with the person in the crops, KTM's gate with the
clothing-unrelated area of the image. A cell of a map counts by the share of its pixels
that lie on the area. Prints one row of a Markdown table for each run and module:

  on, off    the map's mean on the area, and off it
  share      of the map's sum that lies on the area
  area       the area's share of the image: the share of a map that is the same
             everywhere
  column, row  the map's correlation with the position, from left and from above
  same       the share of the map's variance that is the same in every image; 1: it
             does not depend on the image
"""

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import numpy as np

from mbnet_jax.data import load_dataset
from mbnet_jax.data.loader import load_example
from mbnet_jax.devices import compilation_cache
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.losses import pool_area
from mbnet_jax.models import BRANCHES
from mbnet_jax.report.attention import attention_maps
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.views import make_targets

COLUMNS = ("on", "off", "share", "area", "column", "row", "same")
# Module -> its area, of `views.Targets`
AREAS = {"ktm": "area", "fam": "foreground"}


def main() -> None:
    """Parses the command line, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--images", type=int, default=512, help="at most, evenly taken")
    parser.add_argument("--data-root", help="replaces the runs' data.root")
    arguments = parser.parse_args()
    compilation_cache.enable()
    print(f"| run | module | {' | '.join(COLUMNS)} |")
    print(f"| --- | --- |{' --- |' * len(COLUMNS)}")
    try:
        for run in arguments.runs:
            found = measure_run(run, arguments.images, arguments.data_root)
            for module, values in found:
                cells = " | ".join(f"{values[name]:.2f}" for name in COLUMNS)
                print(f"| {run} | {module.upper()} | {cells} |", flush=True)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def measure_run(
    run: Path, images: int, data_root: str | None = None
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields each module that the run has with the values of its map.

    Raises:
      FileNotFoundError: if `run` holds no run.
      ValueError: if it has neither KTM nor FAM, or no parsing maps; if `images` is
        below 1.
    """
    if images < 1:
        raise ValueError(f"--images={images} must be at least 1")
    folder = RunFolder(run)
    config = folder.config
    if data_root is not None:
        config.data.root = data_root
    own = {
        name: BRANCHES[name].module
        for name in config.model.branches
        if BRANCHES[name].module in AREAS and config.model[BRANCHES[name].module]
    }
    if not own:
        raise ValueError(f"{run} has neither KTM nor FAM; train it with one of them")
    dataset = load_dataset(config)
    if dataset.parts:
        raise ValueError(f"{run} has several datasets; measure a run of one")
    rows = [(split, i) for split in dataset.test.values() for i in range(len(split))]
    chosen = np.linspace(0, len(rows) - 1, min(images, len(rows))).round().astype(int)
    examples = [load_example(*rows[i], config.data) for i in chosen]
    image, parsing = (np.stack([e[k] for e in examples]) for k in ("image", "parsing"))
    if not parsing.any():
        raise ValueError(
            f"{run} has no parsing maps of its test images, or empty ones; set "
            "data.parsing_dir"
        )

    network = folder.load(make_mesh(jax.local_devices()[:1]))
    network.config.eval.branches = (*own,)
    maps = attention_maps(network, image, parsing).maps
    targets = jax.jit(partial(make_targets, sizes=config.views))(parsing)
    for name, module in own.items():
        area = pool_area(getattr(targets, AREAS[module]), maps[name].shape[1:])
        yield module, measure(maps[name], np.asarray(area[..., 0]))


def measure(maps: np.ndarray, area: np.ndarray) -> dict[str, float]:
    """The values of `COLUMNS` of maps [n, h, w] and the area's share of their cells."""
    maps, area = maps.astype(np.float64), area.astype(np.float64)
    _, height, width = maps.shape
    down, right = np.broadcast_arrays(np.arange(height)[:, None], np.arange(width))
    return {
        "on": _ratio((maps * area).sum(), area.sum()),
        "off": _ratio((maps * (1 - area)).sum(), (1 - area).sum()),
        "share": _ratio((maps * area).sum(), maps.sum()),
        "area": area.mean(),
        "column": _correlation(maps, right),
        "row": _correlation(maps, down),
        "same": _ratio(maps.mean(0).var(), maps.var()),
    }


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("nan")


def _correlation(maps: np.ndarray, position: np.ndarray) -> float:
    """Pearson's, over all cells of all images."""
    centred = position - position.mean()
    covariance = (maps.mean(0) * centred).mean()
    return _ratio(covariance, maps.std() * centred.std())


if __name__ == "__main__":
    main()
