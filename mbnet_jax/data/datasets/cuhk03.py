"""CUHK03 under the new protocol (Zhong et al., CVPR 2017): 767 and 700 persons."""

from pathlib import Path

from mbnet_jax.data.datasets import cuhk03_mat
from mbnet_jax.data.datasets.folders import existing, the_only
from mbnet_jax.data.datasets.reading import found_in_name, list_images, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import Records

# Variant -> what the files call it
KINDS = {"detected": "detected", "labelled": "labeled"}
PLACES = ("cuhk03-np", "CUHK03-NP", "cuhk03/cuhk03-np", "cuhk03/CUHK03-NP")
FOLDERS = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
}
PATTERN = r"(?P<pid>\d+)_c(?P<camera>[12])_\d+\.(png|jpg)"


def find_variants(root: Path) -> list[str]:
    """The variants that are in `root`, as CUHK03-NP or as the authors' files."""
    return [
        variant
        for variant, kind in KINDS.items()
        if existing(root, _folders(kind)) or cuhk03_mat.is_in(root, kind)
    ]


def read_cuhk03(root: Path, variant: str) -> Records:
    """Reads one variant: CUHK03-NP, or where that is missing the authors' files.

    CUHK03-NP is `{detected,labeled}/{bounding_box_train,query,bounding_box_test}/
    PID_cCAM_N.png`. Both forms give an image the same person, camera and split.
    """
    kind = KINDS.get(variant, KINDS["detected"])
    as_folders = _folders(kind)
    if not existing(root, as_folders):
        if cuhk03_mat.is_in(root, kind):
            return number(cuhk03_mat.read_mat(root, kind))
        as_folders += cuhk03_mat.places(kind)  # the message names these too
    folder = the_only(root, as_folders)
    return number(
        {
            split: [
                found_in_name(path, m)
                for path, m in list_images(
                    folder / subfolder, PATTERN, example="0001_c1_1.png"
                )
            ]
            for split, subfolder in FOLDERS.items()
        }
    )


def _folders(kind: str) -> list[str]:
    return [f"{place}/{kind}" for place in PLACES]


SPEC = DatasetSpec(
    name="cuhk03",
    citation="CUHK03 (Li et al., CVPR 2014)",
    source="https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html",
    read=read_cuhk03,
    variants=tuple(KINDS),
    find_variants=find_variants,
    variant_counts={
        "detected": {
            "train": (7_365, 767),
            "query": (1_400, 700),
            "gallery": (5_332, 700),
        },
        "labelled": {
            "train": (7_368, 767),
            "query": (1_400, 700),
            "gallery": (5_328, 700),
        },
    },
    protocols=(Protocol("general", "query", "gallery", "general"),),
)
