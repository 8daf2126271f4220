"""Small copies of CCVID and MEVID in their exact layouts, odd files included."""

from pathlib import Path

from layouts import ODD, write_image

# Tracklet's folder, person, clothes, frames; walks of session 3 are other cameras.
CCVID = {
    "train": (
        ("session1/003_01", "003", "u0_l0_s0_c0_a0", 3),
        ("session2/003_12", "003", "u1_l0_s0_c0_a0", 2),
        ("session3/003_01", "003", "u2_l2_s0_c1_a0", 2),
        ("session1/010_02", "010", "u0_l0_s0_c0_a0", 2),
        ("session1/010_03", "010", "u0_l0_s0_c0_a0", 2),
        ("session2/020_01", "020", "u0_l0_s0_c0_a0", 2),
        ("session2/020_02", "020", "u0_l1_s0_c0_a0", 2),
        ("session1/101_05", "101", "u0_l0_s0_c0_a0", 2),
        ("session3/101_05", "101", "u0_l0_s0_c0_a0", 2),
    ),
    "query": (
        ("session1/001_01", "001", "u0_l0_s0_c0_a0", 3),
        ("session1/002_01", "002", "u0_l0_s0_c0_a0", 1),
    ),
    "gallery": (
        ("session3/001_01", "001", "u5_l5_s5_c1_a1", 2),
        ("session2/001_03", "001", "u0_l0_s0_c0_a0", 5),
        ("session2/002_07", "002", "u0_l0_s0_c0_a0", 2),
        ("session3/002_12", "002", "u5_l0_s0_c0_a0", 4),
    ),
}


def write_ccvid(root: Path) -> Path:
    """4 + 2 persons."""
    folder = root / "CCVID"
    folder.mkdir(parents=True)
    for split, tracklets in CCVID.items():
        lines = []
        for name, person, clothes, frames in tracklets:
            lines.append(f"{name}\t{person}\t{clothes}\n")
            for frame in range(1, frames + 1):
                write_image(folder / name / f"{frame:05d}.jpg", int(person))
        (folder / f"{split}.txt").write_text("".join(lines))
    for name in ODD:  # also a tracklet that no list has
        (folder / "session1" / "001_01" / name).write_bytes(b"not an image")
    write_image(folder / "session2" / "001_09" / "00001.jpg", 1)
    return root


# Frames by person, outfit, camera and tracklet; None: an empty track.
MEVID = {
    "train": (
        ((103, 20, 424, 0), 3),
        ((103, 20, 330, 0), 2),
        ((103, 21, 424, 0), 2),
        (None, 0),
        ((104, 1, 505, 7), 2),
        ((104, 1, 505, 8), 2),
        ((7, 2, 340, 0), 2),
        ((250, 2, 340, 0), 2),
    ),
    "test": (
        ((201, 3, 330, 4), 3),
        ((202, 0, 330, 0), 1),
        (None, 0),
        ((201, 3, 505, 0), 2),
        ((202, 1, 336, 0), 2),
        ((201, 4, 509, 1), 4),
        ((202, 0, 509, 1), 2),
    ),
}
QUERIES = (0, 1)  # rows, from 0


def write_mevid(root: Path, lists: str = "", around: str = "") -> Path:
    """4 + 2 persons.

    `lists` is a folder for the lists, `around` one around each folder of images, in
    which {} stands for the side.
    """
    base = root / "mevid"
    (base / lists).mkdir(parents=True)
    for side, tracks in MEVID.items():
        names, rows = [], []
        for labels, frames in tracks:
            first, last = len(names), len(names) + frames - 1
            person, outfit, camera, track = labels or (0, 0, 0, 0)
            rows.append([first, last, person, outfit, camera])
            for frame in range(frames):
                start = f"{person:04d}O{outfit:03d}C{camera:03d}T{track:03d}"
                names.append(f"{start}F{10 * frame:05d}.jpg")
                images = base / around.format(side) / f"bbox_{side}"
                write_image(images / f"{person:04d}" / names[-1], person)
        text = "".join(" ".join(f"{x:.18e}" for x in row) + "\n" for row in rows)
        (base / lists / f"track_{side}_info.txt").write_text(text)
        (base / lists / f"{side}_name.txt").write_text("\n".join(names) + "\n")
    rows = "".join(f"{row:.18e}\n" for row in QUERIES)
    (base / lists / "query_IDX.txt").write_text(rows)
    for name in ODD:
        (images / "0201" / name).write_bytes(b"not an image")
    return root
