"""Measures how far trained networks lean on camera and background.

python -m benchmarks.shortcuts RUN [RUN ...] [--data-root FOLDER] [--seed 0]

RUN is the folder of a run, whose best checkpoint is tested on the test images of its
dataset. Runs of one config but for the seed are averaged. Tables in Markdown go to
standard output; README.md beside this file says what their columns mean.
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
from mbnet_jax.evaluation.embed import make_embed
from mbnet_jax.runs.checkpoints import BEST
from mbnet_jax.runs.load import load_trained
from mbnet_jax.runs.run_folder import load_saved


def main() -> None:
    """Parses the command line; bad input ends in one line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--data-root", type=Path, help="in place of the runs' own")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    arguments = parser.parse_args()
    compilation_cache.enable()
    try:
        print(lean(arguments.runs, arguments.data_root, arguments.seed))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def lean(folders: Sequence[Path], root: Path | None, seed: int) -> str:
    """The tables of the runs in `folders`, whose data lies in `root` if it is given.

    Raises:
      FileNotFoundError: if one is no run, or the data is missing.
      ValueError: if two runs are one, their data differ or does not tell cameras, or
        an image has no parsing map.
    """
    if seed < 0:
        raise ValueError(f"--seed={seed} must be at least 0")
    configs = {folder: load_saved(folder) for folder in folders}
    if root is not None:
        for config in configs.values():
            config.data.root = str(root)
    groups = grouped(configs)
    data = {fingerprint(config) for config in configs.values()}
    if len(data) > 1:
        raise ValueError(
            f"the runs are on different data ({', '.join(sorted(data))}); measure "
            "those of each in a command of its own"
        )
    images = {  # of all, before the first network is loaded
        folder: images_of(config, load_dataset(config, training=False))
        for folder, config in configs.items()
    }
    measured = [
        Group(_title(group), _measured(group, configs, images, seed))
        for group in groups
    ]
    first = images[folders[0]]
    return "\n\n".join(
        [
            f"Dataset {first.data.name}, fingerprint `{data.pop()}`. "
            "mAP and shares in per cent; mean ± standard deviation over seeds of "
            "training (of a sample; none for a single seed).",
            *(f"Note: {note}." for note in first.notes),
            markdown(measured),
            f"{about_this_machine()}, {versions()}",
        ]
    )


def grouped(configs: dict[Path, ConfigDict]) -> list[list[Path]]:
    """The folders of runs, together where configs differ in the seed alone.

    Raises:
      ValueError: if two are of one config and one seed.
    """
    found: dict[str, dict[int, Path]] = {}
    for folder, config in configs.items():
        without = config.copy_and_resolve_references()
        without.seed = 0
        seeds = found.setdefault(digest_of(without), {})
        if config.seed in seeds:
            raise ValueError(
                f"{seeds[config.seed]} and {folder} are of one config and one seed; "
                "give one of them"
            )
        seeds[config.seed] = folder
    return [list(seeds.values()) for seeds in found.values()]


def _title(folders: Sequence[Path]) -> str:
    """What a group is called: the folder that holds its runs."""
    paths = [os.path.normpath(folder) for folder in folders]
    shared = os.path.commonpath(map(os.path.abspath, paths))
    return paths[0] if len(paths) == 1 else os.path.relpath(shared)


def _measured(
    folders: Sequence[Path],
    configs: dict[Path, ConfigDict],
    images: dict[Path, Images],
    seed: int,
) -> list[Values]:
    """Of each run of a group, whose network is compiled once."""
    mesh, program, values = make_mesh(), None, []
    for folder in folders:
        trained = load_trained(folder, mesh, BEST, configs[folder])
        program = program or make_embed(configs[folder], trained.model, mesh)
        values.append(measure(trained, program, images[folder], seed))
    return values


if __name__ == "__main__":
    main()
