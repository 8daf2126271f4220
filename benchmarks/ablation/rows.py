"""The rows of an ablation: read from a TOML file, and checked before training."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from mbnet_jax.config import load_config
from mbnet_jax.models.mbnet import BRANCHES

_KEYS = {"name", "title", "reference", "overrides", "from", "embedding"}


class Row(NamedTuple):
    """One row of the table.

    name: identifies the row; also the name of its runs' folder.
    title: its name in the table.
    reference: name of the row that it is compared with, or "".
    source: name of the row whose runs are evaluated; its own if it is trained.
    embedding: the embedding that is evaluated, or "" for the network's own.
    overrides: FIELD=VALUE for its runs; empty if `source` is another row.
    """

    name: str
    title: str
    reference: str
    source: str
    embedding: str
    overrides: tuple[str, ...]

    @property
    def trained(self) -> bool:
        """Whether the row has runs of its own."""
        return self.source == self.name


def read_rows(path: Path) -> list[Row]:
    """Reads the rows of a file such as `rows.toml`, in its order.

    Raises:
      ValueError: naming the row, if it is incomplete or duplicate, or names a row that
        does not exist.
      OSError: if the file cannot be read.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from error
    shared = content.pop("shared", [])
    entries = content.pop("row", [])
    _check_strings(path, "shared", shared)
    if content or not entries:
        raise ValueError(
            f"{path} must hold [[row]] entries and optionally `shared`; "
            + (f"unknown: {', '.join(content)}" if content else "it has no row")
        )
    rows = [_row(path, number, entry, shared) for number, entry in enumerate(entries)]
    _check_names(path, rows)
    return rows


def _row(path: Path, number: int, entry: dict, shared: list[str]) -> Row:
    name = str(entry.get("name", f"number {number + 1}"))
    where = f"{path}, row {name}"
    unknown = entry.keys() - _KEYS
    if unknown:
        raise ValueError(
            f"{where}: unknown {', '.join(sorted(unknown))}; known: "
            f"{', '.join(sorted(_KEYS))}"
        )
    if not re.fullmatch(r"\w+", entry.get("name", "")):
        raise ValueError(f"{where}: give it a name of letters, digits and _")
    if ("from" in entry) == ("overrides" in entry):
        raise ValueError(f"{where}: give either overrides or from")
    overrides = entry.get("overrides", [])
    _check_strings(where, "overrides", overrides)
    trained = "from" not in entry
    return Row(
        name,
        entry.get("title", name),
        entry.get("reference", ""),
        entry.get("from", name),
        entry.get("embedding", ""),
        (*shared, *overrides) if trained else (),
    )


def _check_strings(where, key: str, value) -> None:
    valid = isinstance(value, list) and all(
        isinstance(entry, str) and "=" in entry for entry in value
    )
    if not valid:
        raise ValueError(f'{where}: {key} must be a list of strings "FIELD=VALUE"')


def _check_names(path: Path, rows: Sequence[Row]) -> None:
    names = [row.name for row in rows]
    duplicates = {name for name in names if names.count(name) > 1}
    if duplicates:
        raise ValueError(f"{path}: duplicate row {', '.join(sorted(duplicates))}")
    trained = [row.name for row in rows if row.trained]
    for row in rows:
        if row.reference and row.reference not in names:
            raise ValueError(
                f"{path}, row {row.name}: no row is named reference={row.reference}"
            )
        if row.source not in trained:
            raise ValueError(
                f"{path}, row {row.name}: no row with overrides is named "
                f"from={row.source}"
            )
        if row.embedding not in ("", "all", *BRANCHES):
            raise ValueError(
                f"{path}, row {row.name}: unknown embedding={row.embedding}; known: "
                f"all, {', '.join(BRANCHES)}"
            )


def selected(rows: Sequence[Row], only: Sequence[str]) -> list[Row]:
    """Returns the rows to train: all, or those that the rows named in `only` need.

    Raises:
      ValueError: if a name in `only` is unknown.
    """
    known = {row.name: row for row in rows}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ValueError(f"unknown row {', '.join(unknown)}; known: {', '.join(known)}")
    needed = {known[name].source for name in only or known}
    return [row for row in rows if row.name in needed]


def config_of(
    file: str, row: Row, seed: int, overrides: Sequence[str] = ()
) -> tuple[ConfigDict, list[str]]:
    """Returns the config of a row's run, and the overrides that produce it.

    `overrides` come first, so that those of the row take precedence.

    Raises:
      ValueError: naming the row and the field, if an override is invalid.
    """
    given = [*overrides, *row.overrides, f"seed={seed}"]
    try:
        return load_config(file, given), given
    except ValueError as error:
        raise ValueError(f"row {row.name}: {error}") from error


def check_embeddings(rows: Sequence[Row], branches: dict[str, tuple]) -> None:
    """Checks that each row's runs have the embedding that it evaluates.

    Args:
      rows: all rows.
      branches: the branches in the config of each trained row, by its name.

    Raises:
      ValueError: naming the row that has not.
    """
    for row in rows:
        known = branches.get(row.source)
        if known is None or row.embedding in ("", *known):
            continue
        if row.embedding == "all" and len(known) > 1:
            continue
        raise ValueError(
            f"row {row.name}: the runs of {row.source} have no embedding "
            f"{row.embedding}; their branches are {', '.join(known)}"
        )
