"""Celeb-reID and Celeb-reID-light: people in pictures of the press, no cameras."""

from pathlib import Path

from mbnet_jax.data.datasets.reading import Found, list_images, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import UNKNOWN, Identifiers, Records

# Person, number of the image, and a number without a meaning
PATTERN = r"(?P<pid>\d+)_\d+_\d+\.jpg"
# As cameras, parts of the other two numbers are in use: docs/datasets_clothes.md.
PROTOCOLS = (Protocol("any", "query", "gallery", "any"),)
SOURCE = "https://github.com/Huang-3/Celeb-reID"


def read_celeb_reid(folder: Path) -> Records:
    """Reads `{train,query,gallery}/PID_NUMBER_NUMBER.jpg`.

    Persons of query and gallery are numbered from 1 again: they are other people than
    those of train. The folders of body parts beside these (`query_1_1`) are not read.
    """
    found = {
        split: [
            Found(path, int(m["pid"]), UNKNOWN, None, own=Identifiers(m["pid"]))
            for path, m in list_images(folder / split, PATTERN, example="103_15_0.jpg")
        ]
        for split in ("train", "query", "gallery")
    }
    return number(found, apart=("query", "gallery"))


SPEC = DatasetSpec(
    name="celeb_reid",
    citation="Celeb-reID (Huang et al., TCSVT 2019)",
    source=SOURCE,
    folder="Celeb-reID",
    read=read_celeb_reid,
    counts={
        "train": (20_208, 632),
        "query": (2_972, 420),
        "gallery": (11_006, 420),
    },
    protocols=PROTOCOLS,
)
LIGHT = DatasetSpec(
    name="celeb_reid_light",
    citation="Celeb-reID-light (Huang et al., IJCNN 2019)",
    source=SOURCE,
    folder="Celeb-reID-light",
    read=read_celeb_reid,
    counts={"train": (9_021, 490), "query": (887, 100), "gallery": (934, 100)},
    protocols=PROTOCOLS,
)
