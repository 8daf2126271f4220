"""What a folder holds, to compare it with another one."""

from pathlib import Path


def contents(root: Path) -> dict[str, bytes]:
    """The bytes of every file by its path in `root`."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
