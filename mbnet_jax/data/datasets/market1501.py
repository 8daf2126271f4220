"""Market-1501: 6 cameras outdoors; the gallery has junk and distractors."""

from pathlib import Path

from mbnet_jax.data.datasets.folders import the_only
from mbnet_jax.data.datasets.reading import found_in_name, list_images, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import Records

FOLDER = "Market-1501-v15.09.15"
PLACES = (FOLDER, f"market1501/{FOLDER}", "market1501")
FOLDERS = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
}
_REST = r"_c(?P<camera>[1-9])s\d+_.*\.jpg"
# Persons are counted from 1. In the gallery alone, -1 is junk (`retrieval.JUNK`), and
# 0000 are distractors, whom no query shows.
PERSON = r"(?P<pid>\d*[1-9]\d*)" + _REST
GALLERY = r"(?P<pid>-1|\d+)" + _REST


def read_market1501(root: Path) -> Records:
    """Reads `{bounding_box_train,query,bounding_box_test}/PID_cCAMsSEQ_*.jpg`.

    The other folders (`gt_bbox`, `gt_query`, `images`) are not read.
    """
    inside = [f"{place}/{FOLDERS['train']}" for place in PLACES]
    folder = the_only(root, inside).parent
    return number(
        {
            split: [
                found_in_name(path, m)
                for path, m in list_images(
                    folder / subfolder,
                    GALLERY if split == "gallery" else PERSON,
                    example="0002_c1s1_000451_03.jpg",
                )
            ]
            for split, subfolder in FOLDERS.items()
        }
    )


SPEC = DatasetSpec(
    name="market1501",
    citation="Market-1501 (Zheng et al., ICCV 2015)",
    source="https://zheng-lab-anu.github.io",
    read=read_market1501,
    # Without the 3,819 junk images; the distractors count as one person.
    counts={
        "train": (12_936, 751),
        "query": (3_368, 750),
        "gallery": (15_913, 751),
    },
    protocols=(Protocol("general", "query", "gallery", "junk_out"),),
)
