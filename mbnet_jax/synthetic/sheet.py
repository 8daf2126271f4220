"""A contact sheet of a synthetic dataset: people, their clothes, parsing maps.

    python -m mbnet_jax.synthetic.sheet --root DIR --out sheet.jpg

Each row shows one person in every outfit at every camera that they meet; below it are
the parsing maps, and below those the exact ones if the maps are a parser's;
`--no-maps` leaves maps out. With `--cameras N` it shows N cameras instead, and of each
one image. If DIR holds no dataset, the default one is generated first.
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
    Shot,
    generate,
    image_path,
    map_paths,
    plan,
    read_options,
)
from mbnet_jax.synthetic.options import SyntheticOptions

SPLITS = ("all", "train", "test")
_ACROSS = 12  # cameras in a row of `camera_sheet`


def contact_sheet(
    root: Path, people: int, split: str = "all", *, maps: bool = True
) -> np.ndarray:
    """Draws `people` people, evenly spaced among those of the dataset in `root`.

    Where people meet different cameras, each is shown at their own.

    Args:
      root: a complete synthetic dataset.
      people: how many, at most.
      split: "train" or "test" people, or "all".
      maps: whether parsing maps are below the images.

    Returns:
      uint8 [people * k * H, outfits * cameras * W, 3]: the first image of each person,
      outfit and camera, and its parsing map in `parsing.PALETTE`; k is 2, or 3 if the
      dataset has exact maps too, which are then below, or 1 without maps.

    Raises:
      FileNotFoundError, ValueError: see `read_options`; ValueError also if the split
        has no people.
    """
    options = read_options(root)
    of_person: dict[int, list[Shot]] = {}
    for shots in plan(options):
        if split in ("all", _split_of(shots[0])):
            firsts = [shot for shot in shots if shot.number == 1]
            of_person.setdefault(shots[0].pid, []).extend(firsts)
    if not of_person:
        raise ValueError(f"{root} has no {split} identities; choose another split")
    pids = _spaced([*of_person], people)
    return np.vstack([_rows(root, options, of_person[pid], maps) for pid in pids])


def camera_sheet(
    root: Path, cameras: int, split: str = "all", *, maps: bool = True
) -> np.ndarray:
    """Draws one image of each of `cameras` cameras, twelve side by side.

    Args, returned rows and errors are as in `contact_sheet`. Cameras are evenly spaced
    among those that a person of the split meets; each shows another person, if there
    are enough.
    """
    options = read_options(root)
    of_camera: dict[int, list[Shot]] = {}
    for shots in plan(options):
        for shot in shots:
            if split in ("all", _split_of(shot)):
                of_camera.setdefault(shot.camera, []).append(shot)
    if not of_camera:
        raise ValueError(f"{root} has no {split} identities; choose another split")
    chosen = [
        of_camera[camera][(37 * place) % len(of_camera[camera])]
        for place, camera in enumerate(_spaced(sorted(of_camera), cameras))
    ]
    across = min(_ACROSS, len(chosen))
    rows = [
        _rows(root, options, chosen[i : i + across], maps)
        for i in range(0, len(chosen), across)
    ]
    missing = rows[0].shape[1] - rows[-1].shape[1]
    rows[-1] = np.pad(rows[-1], ((0, 0), (0, missing), (0, 0)))
    return np.vstack(rows)


def _split_of(shot: Shot) -> str:
    return "train" if shot.split == "train" else "test"


def _spaced(values: list[int], count: int) -> list[int]:
    """Chooses `count` values, evenly spaced; all if there are fewer."""
    places = np.linspace(0, len(values) - 1, min(count, len(values))).round()
    return [values[place] for place in places.astype(int)]


def _rows(
    root: Path, options: SyntheticOptions, shots: Sequence[Shot], maps: bool
) -> np.ndarray:
    """Draws shots side by side, with their maps below them if asked for."""
    palette = np.array(parsing.PALETTE, np.uint8)
    rows = [np.hstack([np.asarray(Image.open(image_path(root, s))) for s in shots])]
    if not maps:
        return rows[0]
    for paths in zip(*(map_paths(root, s, options) for s in shots), strict=True):
        rows.append(palette[np.hstack([np.asarray(Image.open(p)) for p in paths])])
    return np.vstack(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line, and writes a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="the dataset")
    parser.add_argument("--out", type=Path, required=True, help="the picture to write")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--split", choices=SPLITS, default="all", help="whom to show")
    parser.add_argument(
        "--cameras", type=int, help="show so many cameras instead, one image of each"
    )
    parser.add_argument(
        "--maps",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="parsing maps below the images",
    )
    parser.add_argument("--width", type=int, help="of the picture, in pixels")
    args = parser.parse_args(arguments)
    try:
        if not (args.root / DONE).exists():
            generate(args.root, SyntheticOptions())
        draw, count = contact_sheet, args.people
        if args.cameras is not None:
            draw, count = camera_sheet, args.cameras
        if count < 1:
            raise ValueError(f"--people and --cameras must be at least 1, got {count}")
        if args.width is not None and args.width < 1:
            raise ValueError(f"--width must be at least 1, got {args.width}")
        sheet = Image.fromarray(draw(args.root, count, args.split, maps=args.maps))
        if args.width is not None:
            height = max(round(sheet.height * args.width / sheet.width), 1)
            sheet = sheet.resize((args.width, height), Image.Resampling.LANCZOS)
        sheet.save(args.out, quality=90)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
