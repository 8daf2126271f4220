"""PRCC: two cameras with the same clothes, a third with other clothes."""

from pathlib import Path

from mbnet_jax.data.datasets.reading import Found, list_images, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import Identifiers, Records

CAMERAS = {"A": 0, "B": 1, "C": 2}
TRAINING_PATTERN = r"(?P<pid>\d+)/(?P<camera>[ABC])_.*\.jpg"
TEST_PATTERN = r"(?P<pid>\d+)/.*\.jpg"
# Test split -> camera. Queries of B wear what they wear in the gallery, those of C
# do not.
TEST = {"gallery": "A", "query_changing": "C", "query_same": "B"}


def read_prcc(folder: Path) -> Records:
    """Reads `{train,val}/PID/{A,B,C}_*.jpg` and `test/{A,B,C}/PID/*.jpg`.

    The persons of val are those of train, in other images.
    """
    found = {
        split: [
            _found(path, m["pid"], m["camera"])
            for path, m in list_images(
                folder / split, TRAINING_PATTERN, example="001/A_cropped_rgb001.jpg"
            )
        ]
        for split in ("train", "val")
    }
    for split, camera in TEST.items():
        found[split] = [
            _found(path, m["pid"], camera)
            for path, m in list_images(
                folder / "test" / camera, TEST_PATTERN, example="003/cropped_rgb001.jpg"
            )
        ]
    return number(found)


def _found(path: Path, pid: str, camera: str) -> Found:
    # A and B show a person in the same clothes, C in others.
    outfit = "C" if camera == "C" else "AB"
    return Found(path, int(pid), CAMERAS[camera], outfit, own=Identifiers(pid, camera))


SPEC = DatasetSpec(
    name="prcc",
    citation="PRCC (Yang et al., TPAMI 2021)",
    source="https://www.isee-ai.cn/~yangqize/clothing.html",
    folder="prcc/rgb",
    read=read_prcc,
    counts={
        "train": (17_896, 150),
        "val": (5_002, 150),
        "gallery": (3_384, 71),
        "query_changing": (3_543, 71),
        "query_same": (3_873, 71),
    },
    # The split of the queries already selects their clothes, so the rule is general.
    # That the paper's figures are of this dataset and of the multi-shot gallery is
    # inferred: docs/datasets.md.
    protocols=(
        Protocol("same_clothes_multi_shot", "query_same", "gallery", "general"),
        Protocol(
            "same_clothes_single_shot", "query_same", "gallery", "general", draws=10
        ),
        Protocol(
            "clothes_changing_multi_shot",
            "query_changing",
            "gallery",
            "general",
            paper=(0.583, 0.579),
        ),
        Protocol(
            "clothes_changing_single_shot",
            "query_changing",
            "gallery",
            "general",
            draws=10,
        ),
    ),
    validation="own",
)
