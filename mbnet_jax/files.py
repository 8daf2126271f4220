"""Files that are there whole or not at all, whenever the program is killed."""

import os
from pathlib import Path

PART = ".part"  # the ending of a file that is being written


def write_whole(path: Path, data: bytes | str) -> None:
    """Writes `data` to a `.part` file beside `path`, and renames that."""
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    part.write_bytes(data.encode() if isinstance(data, str) else data)
    os.replace(part, path)
