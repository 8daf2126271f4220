"""Reader of PRCC (Yang et al., TPAMI 2021)."""

from pathlib import Path

from mbnet_jax.data.datasets.reading import Found, list_images, number
from mbnet_jax.data.records import Records

SOURCE = (
    "PRCC comes from https://www.isee-ai.cn/~yangqize/clothing.html; data.root is "
    "the folder that holds prcc"
)
CAMERAS = {"A": 0, "B": 1, "C": 2}
TRAINING_PATTERN = r"(?P<pid>\d+)/(?P<camera>[ABC])_.*\.jpg"
TEST_PATTERN = r"(?P<pid>\d+)/.*\.jpg"
# Test split -> camera: the gallery is A's; the two sets of queries differ in clothes.
TEST = {"gallery": "A", "query_changing": "C", "query_same": "B"}


def read_prcc(root: Path) -> Records:
    """Reads `{train,val}/PID/{A,B,C}_*.jpg` and `test/{A,B,C}/PID/*.jpg` in `prcc/rgb`.

    The persons of val are those of train, in other images.
    """
    folder = root / "prcc" / "rgb"
    found = {
        split: [
            _found(path, m["pid"], m["camera"])
            for path, m in list_images(
                folder / split, TRAINING_PATTERN, "001/A_cropped_rgb001.jpg", SOURCE
            )
        ]
        for split in ("train", "val")
    }
    for split, camera in TEST.items():
        found[split] = [
            _found(path, m["pid"], camera)
            for path, m in list_images(
                folder / "test" / camera, TEST_PATTERN, "003/cropped_rgb001.jpg", SOURCE
            )
        ]
    return number(found)


def _found(path: Path, pid: str, camera: str) -> Found:
    # A and B show a person in the same clothes, C in others.
    return Found(path, int(pid), CAMERAS[camera], "C" if camera == "C" else "AB")
