"""Measures how much trained networks use camera and background as shortcuts.

python -m benchmarks.shortcuts RUN [RUN ...] [--data-root FOLDER] [--seed 0]

RUN is the folder of a run; its best checkpoint is evaluated on the test images of its
dataset. Runs whose configs differ only in the seed are averaged. The tables are printed
in Markdown; README.md beside this file explains their columns.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from benchmarks.ablation.lines import fingerprint
from benchmarks.ablation.train import digest_of, versions
from benchmarks.devices import about_this_machine
from benchmarks.shortcuts.images import Images, images_of
from benchmarks.shortcuts.measure import Values, measure
from benchmarks.shortcuts.table import Group, markdown
from mbnet_jax.data import load_dataset
from mbnet_jax.devices import compilation_cache
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.runs.run_folder import RunFolder


def main() -> None:
    """Parses the command line; bad input ends in a one-line message."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--data-root", type=Path, help="replaces the runs' data.root")
    parser.add_argument("--seed", type=int, default=0, help="of the random draws")
    arguments = parser.parse_args()
    compilation_cache.enable()
    try:
        print(tables(arguments.runs, arguments.data_root, arguments.seed))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def tables(folders: Sequence[Path], root: Path | None, seed: int) -> str:
    """Measures the runs in `folders`; returns the tables.

    Args:
      folders: the folders of the runs.
      root: the folder of the data; None for the runs' own `data.root`.
      seed: of the random draws.

    Raises:
      FileNotFoundError: if a folder holds no run, or the data is missing.
      ValueError: if two runs have the same config and seed, the runs are on different
        data, or an image has no camera label or no parsing map.
    """
    if seed < 0:
        raise ValueError(f"--seed={seed} must be at least 0")
    runs = {folder: RunFolder(folder) for folder in folders}
    configs = {folder: run.config for folder, run in runs.items()}
    if root is not None:
        for config in configs.values():
            config.data.root = str(root)
    groups = grouped(configs)
    data = {fingerprint(config) for config in configs.values()}
    if len(data) > 1:
        raise ValueError(
            f"the runs are on different data ({', '.join(sorted(data))}); measure "
            "the runs on each separately"
        )
    images = {  # all are checked before the first network is loaded
        folder: images_of(config, load_dataset(config, training=False))
        for folder, config in configs.items()
    }
    measured = [
        Group(_title(group), _measured([runs[f] for f in group], images, seed))
        for group in groups
    ]
    first = images[folders[0]]
    return "\n\n".join(
        [
            f"Dataset {first.data.name}, fingerprint `{data.pop()}`. "
            "mAP and shares in per cent; mean ± sample std over training seeds "
            "(none for a single seed).",
            *(f"Note: {note}." for note in first.notes),
            markdown(measured),
            f"{about_this_machine()}, {versions()}",
        ]
    )


def grouped(configs: dict[Path, ConfigDict]) -> list[list[Path]]:
    """Groups the folders of runs whose configs differ only in the seed.

    Raises:
      ValueError: if two runs have the same config and seed.
    """
    found: dict[str, dict[int, Path]] = {}
    for folder, config in configs.items():
        seedless = config.copy_and_resolve_references()
        seedless.seed = 0
        seeds = found.setdefault(digest_of(seedless), {})
        if config.seed in seeds:
            raise ValueError(
                f"{seeds[config.seed]} and {folder} have the same config and seed; "
                "give only one of them"
            )
        seeds[config.seed] = folder
    return [list(seeds.values()) for seeds in found.values()]


def _title(folders: Sequence[Path]) -> str:
    """Returns a group's title: the folder that holds its runs."""
    paths = [os.path.normpath(folder) for folder in folders]
    shared = os.path.commonpath(map(os.path.abspath, paths))
    return paths[0] if len(paths) == 1 else os.path.relpath(shared)


def _measured(
    runs: Sequence[RunFolder], images: dict[Path, Images], seed: int
) -> list[Values]:
    """Measures each run of a group, compiling the network once."""
    mesh, program, values = make_mesh(), None, []
    for run in runs:
        network = run.load(mesh)
        program = program or make_embed(run.config, network.model, mesh)
        values.append(measure(network, program, images[run.path], seed))
    return values


if __name__ == "__main__":
    main()
