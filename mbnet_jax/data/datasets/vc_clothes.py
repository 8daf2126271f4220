"""Reader of VC-Clothes (Wan et al., CVPR Workshops 2020)."""

from pathlib import Path

from mbnet_jax.data.datasets.reading import Found, list_images, number
from mbnet_jax.data.records import Records

SOURCE = (
    "VC-Clothes comes from https://wanfb.github.io/dataset.html; data.root is "
    "the folder that holds VC-Clothes"
)
PATTERN = r"(?P<pid>\d+)-(?P<camera>\d+)-(?P<outfit>\d+)-(?P<number>\d+)\.jpg"


def read_vc_clothes(root: Path) -> Records:
    """Reads `VC-Clothes/{train,query,gallery}/PID-CAM-OUTFIT-N.jpg`."""
    return number(
        {
            split: [
                Found(path, int(m["pid"]), int(m["camera"]) - 1, int(m["outfit"]))
                for path, m in list_images(
                    root / "VC-Clothes" / split, PATTERN, "0001-01-01-01.jpg", SOURCE
                )
            ]
            for split in ("train", "query", "gallery")
        }
    )
