"""Small copies of Market-1501, MSMT17 and CUHK03 in their exact layouts."""

from pathlib import Path

import h5py
import numpy as np
from layouts import write_all, write_image
from scipy import io

MARKET = "Market-1501-v15.09.15"
JUNK = ("-1_c1s1_000401_03.jpg", "-1_c2s1_000426_01.jpg", "-1_c3s2_009001_04.jpg")
MSMT17 = {"v1": ("train", "test"), "v2": ("mask_train_v2", "mask_test_v2")}
# Pair, person in it, view, image -> label; the split of the new protocol by label
CUHK03 = {
    **{(1, 1, view, 5 * view - 4 + n): 1 for view in (1, 2) for n in (0, 1)},
    **{(1, 2, view, 5 * view - 4 + n): 2 for view in (1, 2) for n in (0, 1)},
    **{(1, 3, view, 5 * view - 4 + n): 3 for view in (1, 2) for n in (0, 1)},
    **{(2, 1, view, 5 * view - 4 + n): 844 for view in (1, 2) for n in (0, 1)},
    **{(5, 1, view, 5 * view - 4 + n): 1467 for view in (1, 2) for n in (0, 1)},
}
CUHK03_TRAIN = (1, 3, 844)


def write_market1501(root: Path, place: str = MARKET, junk: bool = True) -> Path:
    """4 + 2 persons, with distractors (0000) and, in the gallery, junk (-1)."""
    files = {}
    for person in (2, 7, 10, 1500):
        for camera in (1, 6):
            for box in (1, 2):
                name = f"{person:04d}_c{camera}s1_000451_{box:02d}.jpg"
                files[f"bounding_box_train/{name}"] = person
    for person in (1, 3):
        for camera in (1, 2):
            name = f"{person:04d}_c{camera}s{camera}_001051"
            files[f"query/{name}_00.jpg"] = person
            files[f"bounding_box_test/{name}_01.jpg"] = person
    for name in ("0000_c1s1_000151_01.jpg", "0000_c4s6_090001_02.jpg"):
        files[f"bounding_box_test/{name}"] = 100
    for number, name in enumerate(JUNK if junk else ()):
        # Just like the persons, so that they would be in the way.
        files[f"bounding_box_test/{name}"] = (1, 3, 1)[number]
    # What is not read.
    files["gt_bbox/0001_c1s1_001051_00.jpg"] = 1
    files["gt_query/odd.jpg"] = 1
    files["images/00000001.jpg"] = 100
    odd = ("bounding_box_train", "query", "bounding_box_test")
    write_all(root / place, files, odd)
    (root / place / "readme.txt").write_text("Market-1501\n")
    return root


def write_msmt17(root: Path, place: str = "MSMT17_V1", variant: str = "v1") -> Path:
    """4 + 2 persons, both from 0; persons 0 and 1 of train are in val, too."""
    folder, (train, test) = root / place, MSMT17[variant]
    lists = {"train": [], "val": [], "query": [], "gallery": []}

    def add(split: str, person: int, number: int, camera: int, end: str = "") -> None:
        inside = train if split in ("train", "val") else test
        day = "0303morning_0008"
        name = f"{person:04d}_{number:03d}_{camera:02d}_{day}_{number}{end}.jpg"
        # Persons of test are other people.
        shown = person if inside == train else person + 50
        write_image(folder / inside / f"{person:04d}" / name, shown)
        lists[split].append(f"{person:04d}/{name} {person}")

    for person in range(4):
        for camera in (1, 15):
            for number in (0, 1):
                add("train", person, 2 * camera + number, camera)
        if person < 2:
            add("val", person, 40, 1)
            add("val", person, 41, 15, "_ex")
    for person in range(2):
        for camera in (2, 14):
            add("query", person, camera, camera)
            add("gallery", person, camera + 20, camera, "_ex" if person else "")
    write_image(folder / train / "0003" / "0003_099_01_0303noon_0008_1.jpg", 3)
    for split, lines in lists.items():
        (folder / f"list_{split}.txt").write_text("\n".join(lines) + "\n")
    return root


def cuhk03_split(label: int, view: int, image: int) -> str:
    """The split of an image: the first of each view of a test person is a query."""
    if label in CUHK03_TRAIN:
        return "train"
    return "query" if image == 5 * view - 4 else "gallery"


def write_cuhk03_np(root: Path, kind: str = "detected", ending: str = "png") -> Path:
    """CUHK03-NP: three folders of images, in Market-1501's form."""
    folders = {"train": "bounding_box_train", "gallery": "bounding_box_test"}
    files = {}
    for (_, _, view, image), label in CUHK03.items():
        split = cuhk03_split(label, view, image)
        name = f"{label:04d}_c{view}_{image}.{ending}"
        files[f"{folders.get(split, split)}/{name}"] = label
    odd = ("bounding_box_train", "query", "bounding_box_test")
    write_all(root / "cuhk03-np" / kind, files, odd)
    return root


def write_cuhk03_split(folder: Path, kind: str = "detected", **changed) -> None:
    """The new protocol's split, as MATLAB saves it; `changed` arrays of it."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.empty((len(CUHK03), 1), object)
    indices = {"train": [], "query": [], "gallery": []}
    for n, ((pair, person, view, image), label) in enumerate(CUHK03.items()):
        names[n, 0] = f"{pair}_{person:03d}_{view}_{image:02d}.png"
        indices[cuhk03_split(label, view, image)].append(n + 1)
    content = {
        "filelist": names,
        "labels": np.array([[label] for label in CUHK03.values()], float),
        "camId": np.array([[view] for _, _, view, _ in CUHK03], np.uint8),
        **{f"{split}_idx": np.array([rows]) for split, rows in indices.items()},
    }
    file = folder / f"cuhk03_new_protocol_config_{kind}.mat"
    io.savemat(file, content | changed)


def write_cuhk03_images(folder: Path, kind: str = "detected") -> None:
    """The images as torchreid unpacks them."""
    for (pair, person, view, image), label in CUHK03.items():
        name = f"{pair}_{person:03d}_{view}_{image:02d}.png"
        write_image(folder / f"images_{kind}" / name, label)


def cuhk03_pixels(pair: int, person: int, image: int) -> np.ndarray:
    """An image [12, 5, 3] of `cuhk-03.mat`."""
    rng = np.random.default_rng([pair, person, image])
    return rng.integers(0, 255, (12, 5, 3), dtype=np.uint8)


def write_cuhk03_mat(file: Path) -> None:
    """`cuhk-03.mat`, in which arrays are transposed, and cells are references."""
    file.parent.mkdir(parents=True, exist_ok=True)
    images = {(pair, person, image) for pair, person, _, image in CUHK03}
    with h5py.File(file, "w") as content:
        nothing = content.create_dataset("#refs#/none", data=np.zeros(2, np.uint64))
        for kind in ("detected", "labeled"):
            of_kind = content.create_dataset(kind, (1, 5), h5py.ref_dtype)
            for pair in range(1, 6):
                persons = max((m for p, m, _ in images if p == pair), default=0)
                name = f"#refs#/{kind}{pair}"
                cells = content.create_dataset(name, (10, persons), h5py.ref_dtype)
                of_kind[0, pair - 1] = cells.ref
                for person in range(1, persons + 1):
                    for image in range(1, 11):
                        cell = nothing
                        if (pair, person, image) in images:
                            cell = content.create_dataset(
                                f"{name}_{person}_{image}",
                                data=cuhk03_pixels(pair, person, image).T,
                            )
                        cells[image - 1, person - 1] = cell.ref
