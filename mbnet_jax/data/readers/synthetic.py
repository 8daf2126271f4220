"""Reader of the embedded dataset's folder, as `mbnet_jax.synthetic` writes it."""

import re
from pathlib import Path

from mbnet_jax.data.records import Record, contiguous, relabel

_NAME = re.compile(
    r"(?P<pid>\d+)_(?P<outfit>\d+)_c(?P<camera>\d+)_(?P<number>\d+)\.jpg"
)
SPLITS = ("train", "query", "gallery")


def read_synthetic(root: Path) -> dict[str, list[Record]]:
    """Reads `{train,query,gallery}/PID_OUTFIT_cCAM_N.jpg` and `parsing/` beside."""
    found = {split: _read_split(root, split) for split in SPLITS}
    # One numbering of outfits over query and gallery, since rules compare them.
    clothes = contiguous(key for rows in found.values() for _, key in rows)
    records = {
        split: [record._replace(clothes=clothes[key]) for record, key in rows]
        for split, rows in found.items()
    }
    records["train"] = relabel(records["train"])
    return records


def _read_split(root: Path, split: str) -> list[tuple[Record, tuple[int, int]]]:
    folder = root / split
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is missing; delete {root} and start again to generate it anew"
        )
    rows = []
    for path in sorted(folder.glob("*.jpg")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise ValueError(f"{path}: expected a name like 0001_2_c3_4.jpg")
        pid, outfit, camera = (int(match[k]) for k in ("pid", "outfit", "camera"))
        parsing = root / "parsing" / split / f"{path.stem}.png"
        rows.append((Record(path, pid, camera - 1, 0, parsing), (pid, outfit)))
    if not rows:
        raise FileNotFoundError(f"{folder} holds no .jpg image")
    return rows
