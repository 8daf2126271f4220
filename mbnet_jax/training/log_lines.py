"""The lines of a run's `metrics.jsonl`, when the run is resumed."""

import json
from pathlib import Path

from mbnet_jax.files import read_bytes, write_whole
from mbnet_jax.runs.checkpoint_files import free_name
from mbnet_jax.runs.checkpoints import ASIDE

VALIDATION = "validation/"  # begins the names of validation scores
_MAX_BYTES = 2 << 30  # millions of lines


def drop_repeated(path: Path, step: int, evaluated: int) -> None:
    """Drops the lines that will be repeated; keeps a copy of damaged ones."""
    data = read_bytes(path, _MAX_BYTES)
    lines = data.decode(errors="replace").splitlines(keepends=True)
    parsed = [_parsed(line) for line in lines]
    # Half a line at the end is what a kill leaves.
    if None in parsed[:-1]:
        copy = free_name(path.parent / ASIDE / path.name)
        copy.parent.mkdir(exist_ok=True)
        write_whole(copy, data)
        number = parsed.index(None) + 1
        print(f"warning: line {number} of {path} is damaged; a copy is {copy}")
    kept = [
        line
        for line, values in zip(lines, parsed, strict=True)
        if values and _stays(values, step, evaluated)
    ]
    write_whole(path, "".join(kept))


def _parsed(line: str) -> dict | None:
    """What a line holds; None if this program did not write it."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(values, dict) and type(values.get("step")) is int
    return values if known else None


def _stays(values: dict, step: int, evaluated: int) -> bool:
    """Whether a line will not be repeated."""
    scores = any(name.startswith(VALIDATION) for name in values)
    return values["step"] <= (evaluated if scores else step)
