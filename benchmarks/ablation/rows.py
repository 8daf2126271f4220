"""The rows of an ablation: read from a file, and checked before anything is trained."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from mbnet_jax.commands.cli import read_config
from mbnet_jax.models.mbnet import BRANCHES

_KEYS = {"name", "title", "reference", "overrides", "from", "embedding"}


class Row(NamedTuple):
    """One row of the table.

    name: its own, and of the folder of its runs.
    title: what the table says.
    reference: the name of the row that it is compared with, or "".
    source: whose runs are judged; the row's own name where it is trained.
    embedding: which is judged, or "" for the network's own.
    overrides: FIELD=VALUE, of the runs; empty where `source` is another row.
    """

    name: str
    title: str
    reference: str
    source: str
    embedding: str
    overrides: tuple[str, ...]

    @property
    def trained(self) -> bool:
        """Whether it has runs of its own."""
        return self.source == self.name


def read_rows(path: Path) -> list[Row]:
    """The rows of a file such as `rows.toml`, in its order.

    Raises:
      ValueError: naming the row, if one is incomplete, is there twice, or names
        another that is not there.
      OSError: if the file cannot be read.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}") from error
    shared = content.pop("shared", [])
    entries = content.pop("row", [])
    _check_strings(path, "shared", shared)
    if content or not entries:
        raise ValueError(
            f"{path} holds [[row]] entries and `shared`; "
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
    fits = isinstance(value, list) and all(
        isinstance(entry, str) and "=" in entry for entry in value
    )
    if not fits:
        raise ValueError(f'{where}: {key} is a list of texts "FIELD=VALUE"')


def _check_names(path: Path, rows: Sequence[Row]) -> None:
    names = [row.name for row in rows]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{path}: {', '.join(sorted(twice))} is there twice")
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
    """The rows to train: all that are, or those that the rows named `only` need.

    Raises:
      ValueError: if there is no row of such a name.
    """
    known = {row.name: row for row in rows}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ValueError(
            f"there is no row {', '.join(unknown)}; there are {', '.join(known)}"
        )
    needed = {known[name].source for name in only or known}
    return [row for row in rows if row.name in needed]


def config_of(
    file: str, row: Row, seed: int, overrides: Sequence[str] = ()
) -> tuple[ConfigDict, list[str]]:
    """The config of a row's run, and the overrides that make it; `overrides` first.

    Raises:
      ValueError: naming the row and the field, if an override does not fit.
    """
    given = [*overrides, *row.overrides, f"seed={seed}"]
    try:
        return read_config(file, given), given
    except ValueError as error:
        raise ValueError(f"row {row.name}: {error}") from error


def check_embeddings(rows: Sequence[Row], branches: dict[str, tuple]) -> None:
    """Refuses a row whose runs do not have the embedding that it is judged by.

    `branches` are those of each trained row's config.

    Raises:
      ValueError: naming the row.
    """
    for row in rows:
        there = branches.get(row.source)
        if there is None or row.embedding in ("", *there):
            continue
        if row.embedding == "all" and len(there) > 1:
            continue
        raise ValueError(
            f"row {row.name}: the runs of {row.source} have no embedding "
            f"{row.embedding}; their branches are {', '.join(there)}"
        )
