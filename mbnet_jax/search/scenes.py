"""Scenes to search in: their persons are cut out, and each crop is a photograph."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.detection.boxes import NO_TRACK
from mbnet_jax.detection.crops import Crop, cut, is_video
from mbnet_jax.detection.finders import Finder, by_file
from mbnet_jax.detection.video import MOST_BYTES, VIDEO_ENDINGS
from mbnet_jax.files import check_writable, printable
from mbnet_jax.images import IMAGE_ENDINGS
from mbnet_jax.progress import progress
from mbnet_jax.search.photographs import Failures, Stamp, list_photographs, usable

_BOX_ENDINGS = (".csv", ".txt")  # of files with boxes


class Scene(NamedTuple):
    """A photograph or video.

    Attributes:
      name: what people call it: the path relative to the gallery, or a query's.
      path: of the file.
      number: of a photograph, among those of its gallery, from 1.
    """

    name: str
    path: Path
    number: int


@dataclass(frozen=True)
class People:
    """The persons of scenes.

    Attributes:
      folder: of all crops.
      crops: path relative to `folder` -> the name of the scene, and the crop; in the
        order of the scenes.
      scenes: how many scenes were read.
      failures: scenes that are left out, and why.
    """

    folder: Path
    crops: dict[str, tuple[str, Crop]]
    scenes: int
    failures: Failures

    def files(self) -> dict[str, Stamp]:
        """The crops as `list_photographs` would list them."""
        return {name: usable((self.folder / name).stat()) for name in self.crops}

    def tracks(self) -> dict[tuple[str, int], list[str]]:
        """(Name of the scene, number of the track) -> its crops, in order of time."""
        found: dict[tuple[str, int], list[str]] = {}
        for name, (scene, crop) in self.crops.items():
            if crop.box.track != NO_TRACK:
                found.setdefault((scene, crop.box.track), []).append(name)
        return found


def list_scenes(
    gallery: Path, without: Iterable[Path] = ()
) -> tuple[list[Scene], Failures]:
    """Lists the photographs and videos of a folder, sorted by name; or a single file.

    Raises:
      ValueError: there is none.
      FileNotFoundError: there is no such file or folder.
    """
    if gallery.is_file():
        if not gallery.name.lower().endswith(IMAGE_ENDINGS + VIDEO_ENDINGS):
            raise ValueError(
                f"--gallery={printable(gallery)} is neither a photograph nor a video: "
                f"{', '.join(IMAGE_ENDINGS + VIDEO_ENDINGS)}"
            )
        return [Scene(gallery.name, gallery, 1)], []
    endings = IMAGE_ENDINGS + VIDEO_ENDINGS
    files, failures = list_photographs(gallery, without, endings, MOST_BYTES)
    if not files:
        raise ValueError(
            f"{printable(gallery)} and its sub-folders hold no photograph or video"
        )
    scenes, photographs = [], 0
    for name in files:
        path = gallery / name
        photographs += not is_video(path)
        scenes.append(Scene(name, path, photographs))
    return scenes, failures


def find_people(
    scenes: Iterable[Scene],
    finder_of: Callable[[Scene], Finder],
    fps: float,
    folder: Path,
) -> People:
    """Cuts the persons out of scenes; what cannot be read is a failure.

    Args:
      scenes: photographs and videos.
      finder_of: the finder of each.
      fps: frames of a video that are looked at, per second.
      folder: of all crops.
    """
    scenes = [*scenes]
    crops: dict[str, tuple[str, Crop]] = {}
    failures: Failures = []
    with progress(len(scenes), "finding people", unit="scene", leave=False) as bar:
        for index, scene in enumerate(scenes):

            def progressed(share: float, index: int = index) -> None:
                bar.at(index + share)

            try:
                found = cut(
                    scene.path, folder, finder_of(scene), fps, scene.number, progressed
                )
            except (ValueError, OSError) as error:
                if _of_folder(error, folder):
                    raise
                failures.append((scene.name, str(error)))
                continue
            crops |= {each.name: (scene.name, each) for each in found}
            bar.at(index + 1)
    return People(folder, crops, len(scenes) - len(failures), failures)


def _of_folder(error: Exception, folder: Path) -> bool:
    """Whether an error is of the crops' folder, which all scenes need."""
    name = getattr(error, "filename", None)
    if not name:
        return False
    return Path(os.path.realpath(name)).is_relative_to(os.path.realpath(folder))


def finders_by_file(
    boxes: Path, scenes: list[Scene], confidence: float | None
) -> Callable[[Scene], Finder]:
    """The finders of scenes whose boxes are in files.

    Args:
      boxes: the file of the only video, or of photographs, which are its frames in the
        order of their names; or the folder of the files of videos, which have their
        names, ending in .csv or .txt.
      scenes: all of them.
      confidence: as in `read_boxes`.

    Raises:
      ValueError: a file is not for several videos; or naming what is wrong in it.
      OSError: it cannot be read.
    """
    if boxes.is_dir():
        return lambda scene: by_file(_file_of(scene, boxes), confidence)
    kinds = Counter(is_video(scene.path) for scene in scenes)
    if kinds[True] and len(scenes) > 1:
        raise ValueError(
            f"--boxes={printable(boxes)} is the file of one video, and the gallery has "
            f"{kinds[True]:,} and {kinds[False]:,} photographs: give a folder with a "
            "file for each video, or one video as the --gallery"
        )
    only = by_file(boxes, confidence)
    return lambda scene: only


def _file_of(scene: Scene, boxes: Path) -> Path:
    if not is_video(scene.path):
        raise ValueError(
            "is a photograph; a folder of --boxes is for videos: give photographs "
            "one file, with a frame for each"
        )
    beside = (boxes / scene.name).parent
    for stem in (scene.path.stem, scene.path.name):
        for ending in _BOX_ENDINGS:
            path = beside / f"{stem}{ending}"
            if path.is_file():
                return path
    raise ValueError(f"has no file of boxes {beside / scene.path.stem}.csv or .txt")


def check_found(people: People, what: str) -> None:
    """Refuses scenes without anybody.

    Raises:
      ValueError: naming `what`, and the first scene that cannot be read.
    """
    if people.crops:
        return
    first = ": ".join(people.failures[0]) if people.failures else ""
    raise ValueError(
        f"nobody was found in {printable(what)}, {people.scenes:,} photographs or "
        "videos"
        + (f"; the first that cannot be used: {first}" if first else "")
        + "; lower --confidence, or raise --fps for videos"
    )


def check_crops(crops: Path, gallery: Path, cache: Path) -> None:
    """Refuses a folder of crops that would be mistaken for another one.

    Raises:
      ValueError: naming it.
      OSError: it cannot be written to.
    """
    own, other = (Path(os.path.realpath(path)) for path in (crops, gallery))
    if other.is_relative_to(own):
        raise ValueError(
            f"the gallery {printable(gallery)} is in --crops={printable(crops)}; give "
            "another folder of crops"
        )
    if own.is_relative_to(os.path.realpath(cache)):
        raise ValueError(
            f"--crops={printable(crops)} is in the cache {printable(cache)}; give "
            "another folder"
        )
    check_writable(crops, "give another --crops")
