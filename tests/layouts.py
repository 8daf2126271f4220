"""Small copies of the real datasets in their exact layouts, odd files included."""

from pathlib import Path

import numpy as np
import tiny

from mbnet_jax.parsing import labels as labels

ODD = ("Thumbs.db", ".DS_Store", "._0001.png", "readme.txt")


def write_image(path: Path, person: int) -> None:
    """A noise picture [64, 32], the head in the person's colour."""
    rng = np.random.default_rng([person, len(path.name)])
    image = rng.integers(0, 255, (tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)
    image[tiny.person() == labels.HEAD] = 20 * person % 255
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "PNG" if path.suffix == ".png" else "JPEG"
    path.write_bytes(tiny.encoded(image, kind))


def write_all(folder: Path, files: dict[str, int], odd_in: tuple[str, ...]) -> None:
    """Writes images (name -> person), and odd files into the subfolders `odd_in`."""
    for name, person in files.items():
        write_image(folder / name, person)
    for subfolder in odd_in:
        for name in ODD:
            (folder / subfolder / name).write_bytes(b"not an image")


def write_parsing(root: Path, parsing_dir: Path) -> Path:
    """Canonical maps for every image below `root`, in a mirrored tree."""
    data = tiny.encoded(tiny.person(), "PNG")
    for path in [*root.rglob("*.jpg"), *root.rglob("*.png")]:
        if path.name not in ODD:
            target = (parsing_dir / path.relative_to(root)).with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    return parsing_dir


def write_ltcc(root: Path) -> Path:
    """4 + 2 persons, 2 outfits, 2 cameras."""
    files = {}
    for person in (2, 5, 30, 104, 7, 11):
        for outfit in (1, 3):
            for camera in (1, 12):
                name = f"{person:03d}_{outfit}_c{camera}_0158{camera:02d}.png"
                if person not in (7, 11):
                    files[f"train/{name}"] = person
                else:
                    files[f"test/{name}"] = person
                    if camera == 1:
                        other = name.replace("0158", "0999")
                        files[f"query/{other}"] = person
    write_all(root / "LTCC_ReID", files, ("train", "query", "test"))
    (root / "LTCC_ReID" / "info").mkdir()
    (root / "LTCC_ReID" / "info" / "cloth-change_id_test.txt").write_text("7\n")
    return root


def write_prcc(root: Path) -> Path:
    """4 persons to train on, 2 to test; val has other images of the former."""
    files = {}
    for person in (1, 2, 90, 165):
        for camera in "ABC":
            for number in (1, 2):
                name = f"{person:03d}/{camera}_cropped_rgb{number:03d}.jpg"
                files[f"train/{name}"] = person
            files[f"val/{person:03d}/{camera}_cropped_rgb003.jpg"] = person
    for person in (3, 94):
        for camera in "ABC":
            for number in (1, 2, 3):
                name = f"test/{camera}/{person:03d}/cropped_rgb{number:03d}.jpg"
                files[name] = person
    folders = ("train/001", "val", "test", "test/A", "test/C/003")
    write_all(root / "prcc" / "rgb", files, folders)
    (root / "prcc" / "sketch").mkdir()
    return root


def write_vc_clothes(root: Path) -> Path:
    """4 + 2 persons; cameras 2 and 3 show outfit 1, cameras 1 and 4 outfit 2."""
    files = {}
    for person in (1, 4, 9, 300, 2, 511):
        for camera, outfit in ((1, 2), (2, 1), (3, 1), (4, 2)):
            name = f"{person:04d}-{camera:02d}-{outfit:02d}"
            if person not in (2, 511):
                files[f"train/{name}-01.jpg"] = person
                files[f"train/{name}-10.jpg"] = person
            else:
                files[f"query/{name}-05.jpg"] = person
                files[f"gallery/{name}-01.jpg"] = person
    write_all(root / "VC-Clothes", files, ("train", "query", "gallery"))
    return root


MANIFEST_PERSONS = {"train": ("eve", "ann", "Bob", "x-9"), "test": ("dan", "cy")}


def write_manifest(root: Path, columns: str = "path,pid,split,camera,clothes") -> Path:
    """4 + 2 persons with names, 2 outfits, 2 cameras, 2 images each."""
    lines = [columns]
    for side, persons in MANIFEST_PERSONS.items():
        for number, person in enumerate(persons):
            for outfit in ("red", "blue"):
                for camera in ("north", "east"):
                    for shot in (1, 2):
                        path = f"pictures/{person} {outfit} {camera} {shot}.jpg"
                        split = side
                        if side == "test":
                            split = "query" if shot == 1 else "gallery"
                        write_image(root / path, number)
                        row = {
                            "path": path,
                            "pid": person,
                            "split": split,
                            "camera": camera,
                            "clothes": outfit,
                        }
                        lines.append(",".join(row[c] for c in columns.split(",")))
    # As a spreadsheet saves it.
    (root / "manifest.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    return root
