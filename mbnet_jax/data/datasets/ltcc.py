"""Reader of LTCC (Qian et al., ACCV 2020)."""

from pathlib import Path

from mbnet_jax.data.datasets.reading import Found, list_images, number
from mbnet_jax.data.records import Records

SOURCE = (
    "LTCC comes from https://naiq.github.io/LTCC_Perosn_ReID.html; data.root is "
    "the folder that holds LTCC_ReID"
)
PATTERN = r"(?P<pid>\d+)_(?P<outfit>\d+)_c(?P<camera>\d+)_.*\.png"
FOLDERS = {"train": "train", "query": "query", "gallery": "test"}


def read_ltcc(root: Path) -> Records:
    """Reads `LTCC_ReID/{train,query,test}/PID_OUTFIT_cCAM_*.png`."""
    return number(
        {
            split: [
                Found(path, int(m["pid"]), int(m["camera"]) - 1, int(m["outfit"]))
                for path, m in list_images(
                    root / "LTCC_ReID" / folder, PATTERN, "000_1_c11_015833.png", SOURCE
                )
            ]
            for split, folder in FOLDERS.items()
        }
    )
