"""The flags of `mbnet-search` for scenes, and the search for people in them."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from mbnet_jax import schema
from mbnet_jax.commands import flags
from mbnet_jax.detection.presets import PRESETS
from mbnet_jax.files import cache_folder

_FPS = 1.0
_NUMBERS = {
    "fps": schema.real(_FPS, 1e-3, 1e3),
    "confidence": schema.real(0.5, 0.0, 1.0),
}


class Scenes(NamedTuple):
    """What was found in the scenes of gallery and queries.

    Attributes:
      gallery: the people, a `search.scenes.People`.
      queries: the same; None: each query shows one person.
      paths, failures: the pictures of the queries; what is left out, and why.
    """

    gallery: Any
    queries: Any
    paths: list[Path]
    failures: list[tuple[str, str]]


def add(parser: flags.Parser) -> None:
    """Adds the flags."""
    parser.add(
        "--detect",
        metavar="NAME",
        help="finds the persons in gallery and queries, which are scenes: a preset, "
        f"downloaded once ({', '.join(PRESETS)}), or an ONNX file",
    )
    parser.add(
        "--boxes",
        type=flags.path,
        metavar="FILE",
        help="boxes of the gallery's persons, as MOTChallenge has them; or a folder "
        "with a file for each video",
    )
    parser.add(
        "--whole-queries",
        action="store_true",
        help="--detect leaves the queries as they are: each shows one person",
    )
    parser.add(
        "--fps",
        type=flags.number,
        metavar="N",
        help=f"frames of a video to look at, per second; {_FPS:.0f} unless given",
    )
    parser.add(
        "--confidence",
        type=flags.number,
        metavar="P",
        help="least of a person's box, 0 to 1; 0.5 for --detect unless given",
    )
    parser.add(
        "--crops",
        type=flags.path,
        metavar="DIR",
        help="the folder in which crops of persons are kept; by default "
        "~/.cache/mbnet_jax/crops",
    )


def check(arguments: argparse.Namespace) -> None:
    """Refuses flags that do not belong together, before anything is loaded.

    Raises:
      ValueError, FileNotFoundError: naming the flag.
    """
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("fps", "confidence", "crops", "whole_queries")
        if getattr(arguments, name) not in (None, False)
    ]
    if not uses_scenes(arguments):
        if given:
            raise ValueError(
                f"{given[0]} is for scenes: give --detect or --boxes too, or leave it "
                "out"
            )
        if arguments.gallery is not None and arguments.gallery.is_file():
            raise ValueError(
                f"--gallery={arguments.gallery} is a file: give the folder; or, of a "
                "scene or video, --detect or --boxes too"
            )
        return
    numbers = {name: getattr(arguments, name) for name in _NUMBERS}
    numbers = {name: value for name, value in numbers.items() if value is not None}
    schema.check(numbers, {name: _NUMBERS[name] for name in numbers}, "", prefix="--")
    if arguments.whole_queries and not arguments.detect:
        raise ValueError("--whole-queries is the usual with --boxes; leave it out")
    if arguments.parsing or arguments.query_parsing:
        raise ValueError(
            "--parsing has maps of photographs, and --detect and --boxes cut persons "
            "out of them: let a --parser make the maps, or leave them out"
        )
    if arguments.boxes and not arguments.boxes.exists():
        raise FileNotFoundError(f"no such file: --boxes={arguments.boxes}")


def uses_scenes(arguments: argparse.Namespace) -> bool:
    """Whether the gallery has scenes."""
    return bool(arguments.detect or arguments.boxes)


def find_scenes(arguments: argparse.Namespace) -> Scenes | None:
    """Cuts the persons out of gallery and queries; None if these show one each.

    Raises:
      ValueError, OSError: naming what cannot be used, or where nobody is.
    """
    if not uses_scenes(arguments):
        return None
    from mbnet_jax.detection.detector import CONFIDENCE
    from mbnet_jax.detection.finders import Finder, by_detector
    from mbnet_jax.detection.load import load_detector
    from mbnet_jax.search import scenes

    crops, fps = arguments.crops or _default(), arguments.fps or _FPS
    scenes.check_crops(crops, arguments.gallery, arguments.cache)
    confidence = arguments.confidence
    detected = None
    if arguments.detect:
        least = CONFIDENCE if confidence is None else confidence
        detected = by_detector(load_detector(arguments.detect, least))
    found, failures = scenes.list_scenes(
        arguments.gallery, without=[crops, arguments.cache]
    )

    def same(scene: scenes.Scene) -> Finder:
        return detected

    finder_of = same
    if arguments.boxes:
        finder_of = scenes.finders_by_file(arguments.boxes, found, confidence)
    gallery = scenes.find_people(found, finder_of, fps, crops)
    gallery.failures.extend(failures)
    scenes.check_found(gallery, f"--gallery={arguments.gallery}")
    if detected is None or arguments.whole_queries:
        return Scenes(gallery, None, arguments.query, [])
    paths = [scenes.Scene(str(path), path, 1) for path in arguments.query]
    queries = scenes.find_people(paths, same, fps, crops)
    scenes.check_found(queries, "--query")
    known = {scene for scene, _ in (*queries.crops.values(), *queries.failures)}
    nobody = [
        (name, "nobody was found in it; --whole-queries takes it as it is")
        for name, *_ in paths
        if name not in known
    ]
    pictures = [crops / name for name in queries.crops]
    return Scenes(gallery, queries, pictures, queries.failures + nobody)


def _default() -> Path:
    try:
        return cache_folder("crops")
    except (RuntimeError, FileNotFoundError) as error:
        raise ValueError("this user has no home directory; give --crops") from error
