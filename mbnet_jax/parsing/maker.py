"""The file beside maps that `mbnet-parse` made, which says what made them."""

from collections.abc import Mapping
from pathlib import Path

from mbnet_jax.json_files import read_json
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.schema import Field, check, choice

MAPS_FILE = "maps.json"  # in a folder of maps that were made here: what made them
MAPS_VERSION = 1  # of `MAPS_FILE`; files of earlier versions of the project have none
LABELS_FIELD = {"labels": choice(None, *LABEL_SETS)}


def read_maker(parsing_dir: Path, fields: Mapping[str, Field]) -> dict | None:
    """What `mbnet-parse` wrote about the maps in a folder; None if it made none there.

    Args:
      parsing_dir: the folder.
      fields: what must be in the file.

    Raises:
      ValueError: the file is damaged, or of a later version.
      OSError: it cannot be read. All messages name the file and what to do.
    """
    path = parsing_dir / MAPS_FILE
    remedy = "delete it if another program made the maps, or make them again elsewhere"
    try:
        saved = read_json(path, {}, remedy)
        if "deviation" in saved:  # the name of "std" in earlier versions
            saved.setdefault("std", saved.pop("deviation"))
        if saved.get("version", MAPS_VERSION) != MAPS_VERSION:
            raise ValueError(
                f"{path} has version={saved['version']!r:.60}, not {MAPS_VERSION}; a "
                "later version of this program wrote it: update, or make the maps "
                "again elsewhere"
            )
        known = {name: saved[name] for name in fields if name in saved}
        check(known, fields, f"{path} is damaged", remedy=remedy)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{path} cannot be read ({reason}); {remedy}") from error
    return saved


def check_maker(
    parsing_dir: Path, label_set: str, flag: str = "config.data.parsing_labels"
) -> None:
    """Refuses maps that `mbnet-parse` made in another label set.

    `flag` is the one that the error message recommends.

    Raises:
      ValueError: of the label set, or as of `read_maker`.
    """
    saved = read_maker(parsing_dir, LABELS_FIELD)
    if saved is not None and saved["labels"] != label_set:
        raise ValueError(
            f"data.parsing_labels={label_set!r}, but the maps in {parsing_dir} were "
            f"made with --labels={saved['labels']}: give --{flag}={saved['labels']}"
        )
