"""Small copies of datasets with a change of clothes, in their exact layouts.

Each has 4 persons to train on and 2 to test, besides those who are on no query.
"""

from pathlib import Path

from layouts import write_all, write_image


def write_last(root: Path) -> Path:
    """Distractors, doubled underscores, five-digit frames, unlabelled clothes."""
    files = {}
    for person in (2, 31, 480, 4999):
        for number, clothes in ((0, 4), (1, 4), (2, 11), (3, 0)):
            name = f"{person:06d}_{number:03d}_00009_0134_01_{clothes:03d}.jpg"
            files[f"train/{person:06d}/{name}"] = person
    for part, persons in (("val", (10859, 10860)), ("test", (5859, 10903))):
        for person in persons:
            files[f"{part}/query/{person:06d}_012_01066_1075_01_000.jpg"] = person
            for number in (1, 2):
                name = f"{person:06d}_{number:03d}_01066_10752_02_000.jpg"
                files[f"{part}/gallery/{person:06d}/{name}"] = person
        files[f"{part}/gallery/000000/000000_001_00012_0200_01_000.jpg"] = 1
    # In another person's folder, and with a second underscore.
    files["test/gallery/005895/005859__003_00700_0020_01_000.jpg"] = 5859
    odd = ("train/000002", "train", "val/query", "test/query", "test/gallery/005895")
    write_all(root / "last", files, odd)
    return root


def write_deepchange(root: Path, name: str = "DeepChangeDataset") -> Path:
    """Persons of test with numbers of train; one image that no list names."""
    folder = root / name
    lists, files = {}, {}

    def add(split: str, person: int, camera: int, second: int, tracklet: int) -> None:
        image = f"p{person:04d}_c{camera:02d}_20201015_1726{second}_000744_bbox.jpg"
        files[f"{split}/{image}"] = person
        lists.setdefault(split, []).append(f"{image},{tracklet}")

    for person in (3, 5, 8, 13):
        for camera, second, tracklet in ((1, 10, 70), (1, 11, 70), (17, 12, 71)):
            add("train-set", person, camera, second, 10 * person + tracklet)
    for part, persons in (("val", (21, 3)), ("test", (5, 34))):
        for person in persons:
            add(f"{part}-set-query", person, 2, 20, person)
            add(f"{part}-set-gallery", person, 2, 21, person)  # the same tracklet
            add(f"{part}-set-gallery", person, 2, 22, 100 + person)
    write_all(folder, files, (*lists, ""))
    write_image(folder / "train-set" / "p0003_c01_20201015_172613_000744_bbox.jpg", 3)
    for split, lines in lists.items():
        # As Windows ends lines, with an empty one.
        text = "\r\n".join([*lines, "", ""])
        (folder / f"{split}-bbox.txt").write_bytes(text.encode())
    return root


def write_celeb_reid(root: Path, name: str = "Celeb-reID") -> Path:
    """The test restarts at 1, with file names of train; folders of body parts."""
    files = {}
    for person in (1, 2, 10, 632):
        for number in (1, 15):
            files[f"train/{person}_{number}_0.jpg"] = person
    for person in (1, 2):
        for number, split in ((1, "query"), (15, "gallery"), (28, "gallery")):
            files[f"{split}/{person}_{number}_0.jpg"] = 100 + person
            for part in ("1_1", "1_2", "1_3", "2_1", "2_2", "2_3"):
                files[f"{split}_{part}/{person}_{number}_0.jpg"] = person
    write_all(root / name, files, ("train", "query", "gallery", ""))
    return root


def write_celeb_reid_light(root: Path) -> Path:
    """The layout of Celeb-reID in another folder."""
    return write_celeb_reid(root, "Celeb-reID-light")


def write_nkup(root: Path) -> Path:
    """Queries of other days than the gallery; a person whom no query shows."""
    files = {}
    for person in (1, 5, 12, 40):
        for day, camera in (("0912", 3), ("1203", 15)):
            name = f"{person:04d}_D{day}_C{camera:02d}S01_00151.jpg"
            files[f"bounding_box_train/{name}"] = person
    for person in (5, 77):
        files[f"query/{person:04d}_D0912_C03S01_00151.jpg"] = 100 + person
        for camera in (3, 8):
            name = f"{person:04d}_D1120_C{camera:02d}S02_00026.jpg"
            files[f"bounding_box_test/{name}"] = 100 + person
    files["bounding_box_test/0000_D1120_C08S02_00051.jpg"] = 200
    write_all(root, files, ("bounding_box_train", "bounding_box_test", "query"))
    return root
