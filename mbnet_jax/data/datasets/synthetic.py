"""Reader of the embedded dataset's folder, as `mbnet_jax.synthetic` writes it."""

from pathlib import Path

from mbnet_jax.data.datasets.reading import Found, list_images, number
from mbnet_jax.data.records import Records

PATTERN = r"(?P<pid>\d+)_(?P<outfit>\d+)_c(?P<camera>\d+)_(?P<number>\d+)\.jpg"


def read_synthetic(root: Path) -> Records:
    """Reads `{train,query,gallery}/PID_OUTFIT_cCAM_N.jpg` and `parsing/` beside."""
    source = f"Delete {root} and start again to generate it anew."
    return number(
        {
            split: [
                Found(
                    path,
                    int(m["pid"]),
                    int(m["camera"]) - 1,
                    int(m["outfit"]),
                    root / "parsing" / split / f"{path.stem}.png",
                )
                for path, m in list_images(
                    root / split, PATTERN, "0001_2_c3_4.jpg", source
                )
            ]
            for split in ("train", "query", "gallery")
        }
    )
