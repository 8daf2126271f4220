"""LTCC: long-term person re-identification indoors, 12 cameras."""

from pathlib import Path

from mbnet_jax.data.datasets.reading import found_in_name, list_images, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import three_rules
from mbnet_jax.data.records import Records

PATTERN = r"(?P<pid>\d+)_(?P<outfit>\d+)_c(?P<camera>\d+)_.*\.png"
FOLDERS = {"train": "train", "query": "query", "gallery": "test"}


def read_ltcc(folder: Path) -> Records:
    """Reads `{train,query,test}/PID_OUTFIT_cCAM_*.png`."""
    return number(
        {
            split: [
                found_in_name(path, m)
                for path, m in list_images(
                    folder / subfolder, PATTERN, example="000_1_c11_015833.png"
                )
            ]
            for split, subfolder in FOLDERS.items()
        }
    )


SPEC = DatasetSpec(
    name="ltcc",
    citation="LTCC (Qian et al., ACCV 2020)",
    source="https://naiq.github.io/LTCC_Perosn_ReID.html",
    folder="LTCC_ReID",
    read=read_ltcc,
    counts={"train": (9_576, 77), "query": (493, 75), "gallery": (7_050, 75)},
    # That the paper's figures are of this dataset is inferred: docs/datasets.md.
    protocols=three_rules(paper=(0.446, 0.227)),
)
