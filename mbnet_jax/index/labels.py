"""Where and when photographs were taken, from a CSV file."""

import datetime
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.data.datasets.csv_text import read_table
from mbnet_jax.index.conditions import read_time

_FORMAT = (
    "its first row must name the columns: path, relative to the gallery, and camera, "
    "time or both"
)


class Labels(NamedTuple):
    """The camera and the time in UTC of one photograph; None: unknown."""

    camera: str | None = None
    time: datetime.datetime | None = None


def read_labels(file: Path) -> dict[str, Labels]:
    """Reads a CSV file: path relative to the gallery -> camera and time.

    Other columns are ignored, so a dataset's `manifest.csv` will do.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: naming the file and the line, if a cell does not fit.
    """
    table = read_table(file, lambda header: "path" in _names(header))
    names = _names(table.header)
    wanted = [name for name in ("path", "camera", "time") if name in names]
    if "path" not in wanted or len(wanted) < 2:
        raise ValueError(f"{file}: {_FORMAT}")
    found: dict[str, Labels] = {}
    for line, cells in table.rows:
        where = f"{file}, line {line}"
        if len(cells) != len(names):
            raise ValueError(f"{where} has {len(cells)} cells, the header {len(names)}")
        row = {name: cells[names.index(name)] for name in wanted}
        path = row["path"].replace("\\", "/").removeprefix("./")
        if not path:
            raise ValueError(f"{where}: path is empty")
        if path in found:
            raise ValueError(f"{where}: {path} was listed before; list it once")
        try:
            time = read_time(row["time"]) if row.get("time") else None
        except ValueError as error:
            raise ValueError(f"{where}: time {error}") from error
        found[path] = Labels(row.get("camera") or None, time)
    return found


def _names(header: list[str]) -> list[str]:
    return [cell.lower() for cell in header]
