"""Which images a synthetic dataset has, and where their files are."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax.synthetic.options import SyntheticOptions

SPLITS = ("train", "query", "gallery")
PARSING = "parsing"  # folder of the maps that are read
EXACT = "parsing_exact"  # folder of the exact maps, if those are a parser's


@dataclasses.dataclass(frozen=True, order=True)
class Shot:
    """One image of the dataset: its split, and the numbers in its name, from 1."""

    split: str
    pid: int
    outfit: int
    camera: int
    number: int

    @property
    def stem(self) -> str:
        """File name without its extension, "PID_OUTFIT_cCAMERA_NUMBER"."""
        return f"{self.pid:04d}_{self.outfit}_c{self.camera}_{self.number}"


def plan(options: SyntheticOptions) -> Iterator[list[Shot]]:
    """Yields all images of a dataset, in lists of one person in one outfit."""
    people = options.train_identities + options.test_identities
    for pid in range(1, people + 1):
        train = pid <= options.train_identities
        images = options.train_images if train else options.test_images
        cameras = options.cameras_of(pid)
        for outfit in range(1, options.outfits + 1):
            shots = []
            for camera in cameras:
                for number in range(1, images + 1):
                    test = "query" if number == 1 else "gallery"
                    split = "train" if train else test
                    shots.append(Shot(split, pid, outfit, camera, number))
            yield shots


def image_path(root: Path, shot: Shot) -> Path:
    """Returns the path of a shot's image."""
    return root / shot.split / f"{shot.stem}.jpg"


def parsing_path(root: Path, shot: Shot) -> Path:
    """Returns the path of a shot's parsing map."""
    return _map_path(root, PARSING, shot)


def map_folders(options: SyntheticOptions) -> tuple[str, ...]:
    """The folders of a dataset's parsing maps; each has a folder for each split."""
    return (PARSING, EXACT) if options.parser_errors else (PARSING,)


def map_paths(root: Path, shot: Shot, options: SyntheticOptions) -> list[Path]:
    """Returns the paths of a shot's maps, in the order of `map_folders`."""
    return [_map_path(root, folder, shot) for folder in map_folders(options)]


def _map_path(root: Path, folder: str, shot: Shot) -> Path:
    return root / folder / shot.split / f"{shot.stem}.png"
