"""CCVID: videos of people who change clothes, from three sessions."""

import re
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax.data.datasets.lists import read_lines
from mbnet_jax.data.datasets.reading import Found, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.datasets.videos import images_in
from mbnet_jax.data.records import Identifiers, Records, some_of

# The folder of a tracklet, the person, the clothes; between them, tabs.
LINE = (
    r"(?P<folder>session(?P<session>[123])/(?P<folder_pid>\d+)_(?P<walk>\d+))"
    r"\t(?P<pid>\d+)\t(?P<clothes>\S+)"
)
EXAMPLE = "session1/001_01\t001\tu0_l0_s0_c0_a0"
NAME = re.compile(r"\d+\.jpg", re.ASCII)
WALKS = 12  # of a person in a session


def read_ccvid(folder: Path) -> Records:
    """Reads `{train,query,gallery}.txt`, and the folders of frames that they list."""
    splits = ("train", "query", "gallery")
    return number({s: [*_frames(folder, folder / f"{s}.txt")] for s in splits})


def _frames(folder: Path, file: Path) -> Iterator[Found]:
    """Yields the frames of the tracklets of a list, in its order."""
    listed: dict[str, str] = {}
    for where, line in read_lines(file, LINE, EXAMPLE):
        tracklet, person, walk = line["folder"], int(line["pid"]), int(line["walk"])
        if int(line["folder_pid"]) != person or not 1 <= walk <= WALKS:
            raise ValueError(
                f"{where}: the folder {tracklet} must be of person {line['pid']} and "
                f"one of {WALKS} walks; restore the list"
            )
        if tracklet in listed:
            raise ValueError(
                f"{where} lists {tracklet} again, after {listed[tracklet]}; restore "
                "the list"
            )
        listed[tracklet] = where
        # By convention, a walk of session 3 is another camera than in 1 and 2.
        camera = walk - 1 + WALKS * (line["session"] == "3")
        own = Identifiers(line["pid"], clothes=line["clothes"])
        inside = folder / tracklet
        names = images_in(inside, where)
        if odd := [name for name in names if not NAME.fullmatch(name)]:
            raise ValueError(
                f"{inside}: expected names like 00001.jpg, but found "
                f"{some_of(odd)}; move them out of the folder"
            )
        for name in names:
            path = inside / name
            yield Found(path, person, camera, own.clothes, own=own, tracklet=tracklet)


SPEC = DatasetSpec(
    name="ccvid",
    citation="CCVID (Gu et al., CVPR 2022)",
    source="https://github.com/guxinqian/Simple-CCReID",
    folder="CCVID",
    read=read_ccvid,
    by_tracklet=True,
    counts={
        "train": (118_613, 75),
        "query": (116_799, 151),
        "gallery": (112_421, 151),
    },
    tracklet_counts={"train": 948, "query": 834, "gallery": 1_074},
)
