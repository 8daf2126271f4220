"""VC-Clothes: people rendered by a game's engine, 4 cameras."""

from pathlib import Path

from mbnet_jax.data.datasets.reading import found_in_name, list_images, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import Records

PATTERN = r"(?P<pid>\d+)-(?P<camera>\d+)-(?P<outfit>\d+)-(?P<number>\d+)\.jpg"


def read_vc_clothes(folder: Path) -> Records:
    """Reads `{train,query,gallery}/PID-CAM-OUTFIT-N.jpg`."""
    return number(
        {
            split: [
                found_in_name(path, m)
                for path, m in list_images(
                    folder / split, PATTERN, example="0001-01-01-01.jpg"
                )
            ]
            for split in ("train", "query", "gallery")
        }
    )


SPEC = DatasetSpec(
    name="vc_clothes",
    citation="VC-Clothes (Wan et al., CVPR Workshops 2020)",
    source="https://wanfb.github.io/dataset.html",
    folder="VC-Clothes",
    read=read_vc_clothes,
    counts={
        "train": (9_449, 256),
        "query": (1_020, 256),
        "gallery": (8_591, 256),
    },
    # Cameras 2 and 3 (of 1 to 4) show the same clothes, 3 and 4 different ones.
    # That the paper's figures are of this dataset is inferred: docs/datasets.md.
    protocols=(
        Protocol("general", "query", "gallery", "general"),
        Protocol("same_clothes", "query", "gallery", "general", cameras=(1, 2)),
        Protocol(
            "clothes_changing",
            "query",
            "gallery",
            "general",
            cameras=(2, 3),
            paper=(0.872, 0.840),
        ),
    ),
)
