"""What made parsing maps: as a file beside them, and as a digest of it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mbnet_jax.json_files import read_json
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.options import OPTIONS, ParserOptions
from mbnet_jax.schema import Field, check, choice, text

MAPS_FILE = "maps.json"  # in a folder of maps that were made here: what made them
# The version of `MAPS_FILE`: 1 has no `_ADDED`; still earlier files have no version.
MAPS_VERSION = 2
_ADDED = {"channels": "rgb", "fit": "stretch", "output": 0}
LABELS_FIELD = {"labels": choice(None, *LABEL_SETS)}
MAKER = OPTIONS | {"model": text(None, 64, 64)}  # what must be the same for all maps


def describe_maker(options: ParserOptions) -> dict:
    """What `MAPS_FILE` says of a parser: its options, and the SHA-256 of its model."""
    described = {name: getattr(options, name) for name in OPTIONS}
    described = {k: [*v] if isinstance(v, tuple) else v for k, v in described.items()}
    described |= {"version": MAPS_VERSION, "model": _digest(options.model)}
    return described | ({"address": options.address} if options.address else {})


def _digest(model: Path) -> str:
    """The SHA-256 of a model's file, and of files with its weights, if there are any.

    Large weights are in files beside it: model.onnx_data or model.onnx.data.
    """
    digest = hashlib.sha256()
    weights = (f"{model.name}_data", f"{model.name}.data")
    beside = [path for path in model.parent.iterdir() if path.name.startswith(weights)]
    for path in (model, *sorted(beside)):
        if path.is_file():
            with path.open("rb") as file:
                while chunk := file.read(1 << 24):
                    digest.update(chunk)
    return digest.hexdigest()


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
        if saved.get("version", 1) == 1:
            saved = {**_ADDED, **saved, "version": MAPS_VERSION}
        if saved["version"] != MAPS_VERSION:
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
      ValueError: if the label set is unknown, or as in `read_maker`.
    """
    saved = read_maker(parsing_dir, LABELS_FIELD)
    if saved is not None and saved["labels"] != label_set:
        raise ValueError(
            f"data.parsing_labels={label_set!r}, but the maps in {parsing_dir} were "
            f"made with --labels={saved['labels']}: give --{flag}={saved['labels']}"
        )
