"""The folder of a synthetic dataset: what is in it, and what is missing.

`dataset.json` marks a complete dataset and `dataset.partial.json` one that is being
made. Both hold its options. Nothing else is ever replaced or deleted, except planned
images that are empty and the `.part` files of planned images.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax import schema
from mbnet_jax.configs.people import people
from mbnet_jax.files import PART, printable
from mbnet_jax.images import IMAGE_ENDINGS
from mbnet_jax.json_files import read_json, write_json
from mbnet_jax.locks import LOCK
from mbnet_jax.synthetic.options import VERSION, SyntheticOptions
from mbnet_jax.synthetic.shots import (
    SPLITS,
    Shot,
    image_path,
    map_folders,
    map_paths,
    plan,
)

DONE = "dataset.json"
UNFINISHED = "dataset.partial.json"
_PART = re.compile(rf"(.+)\.\d+{re.escape(PART)}")  # as `write_whole` names it
_VERSION = {"version": schema.whole(None)}
_OPTIONS = {"options": people()}
_SHOWN = 5  # names in a message


def read_options(root: Path) -> SyntheticOptions:
    """Returns the options of the dataset in `root`.

    Raises:
      FileNotFoundError: if `root` holds no complete dataset.
      ValueError: if its `dataset.json` is damaged, or is of another version of the
        generator.
    """
    options = _options(root, DONE)
    if options is None:
        raise FileNotFoundError(
            f"{root / DONE} is missing: {root} holds no complete synthetic dataset; "
            "generate it"
        )
    return options


def missing(root: Path, options: SyntheticOptions) -> list[list[Shot]] | None:
    """The shots without image or a parsing map, by person and outfit; writes nothing.

    Returns None if the dataset is complete.

    Raises:
      FileExistsError: if `root` holds another dataset, or something else.
      ValueError: if a file with options is damaged.
    """
    name = _marker(root)
    if name is None:
        found = _foreign(root)
        if found is None:
            return [*plan(options)]
        name = _marker(root)  # another process may have begun in between
        if name is None:
            raise FileExistsError(
                f"{root} holds {printable(found)}, and is not a synthetic dataset; "
                "give an empty or a new folder"
            )
    _check_same(root, _options(root, name), options)
    found = {folder: _whole_files(root / folder) for folder in _folders(options)}
    _check_surplus(root, found, options)
    rest = []
    for shots in plan(options):
        lacking = [
            shot
            for shot in shots
            if f"{shot.stem}.jpg" not in found[shot.split]
            or any(
                f"{shot.stem}.png" not in found[f"{maps}/{shot.split}"]
                for maps in map_folders(options)
            )
        ]
        if lacking:
            rest.append(lacking)
    return rest if rest or name == UNFINISHED else None


def begin(root: Path, options: SyntheticOptions) -> None:
    """Marks a new dataset and creates its folders; drops what a kill left behind.

    To be called after `missing`, by the process that holds the folder's lock.
    """
    if not (root / DONE).exists() and not (root / UNFINISHED).exists():
        write_json(root / UNFINISHED, options.record())
    for folder in ("", *_folders(options)):
        (root / folder).mkdir(parents=True, exist_ok=True)
    ours = {DONE, UNFINISHED}
    for shot in (shot for shots in plan(options) for shot in shots):
        for path in (image_path(root, shot), *map_paths(root, shot, options)):
            ours.add(path.relative_to(root).as_posix())
    for folder in ("", *_folders(options)):
        for path in (root / folder).glob(f"*{PART}"):
            part = _PART.fullmatch(path.relative_to(root).as_posix())
            if part and part[1] in ours:
                path.unlink()


def finish(root: Path) -> None:
    """Marks the dataset as complete."""
    if (root / UNFINISHED).exists():
        os.replace(root / UNFINISHED, root / DONE)


def _folders(options: SyntheticOptions) -> Iterator[str]:
    for split in SPLITS:
        yield split
        for maps in map_folders(options):
            yield f"{maps}/{split}"


def _options(root: Path, name: str) -> SyntheticOptions | None:
    """The options in a marker; None if there is no such file."""
    path = root / name
    remedy = (
        f"give another folder; or, if {root} is a synthetic dataset, delete the folder "
        "to generate it again"
    )
    try:
        record = read_json(path, _VERSION, remedy)
    except FileNotFoundError:
        return None
    if record["version"] != VERSION:
        raise ValueError(
            f"{path} was made by version {record['version']} of the generator, this is "
            f"version {VERSION}; {remedy}"
        )
    content = {key: value for key, value in record.items() if key != "version"}
    schema.check(content, _OPTIONS, f"{path} is damaged", remedy=remedy)
    try:
        return SyntheticOptions(**content["options"])
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; {remedy}") from None


def _marker(root: Path) -> str | None:
    return next((name for name in (DONE, UNFINISHED) if (root / name).exists()), None)


def _foreign(root: Path) -> str | None:
    """What a folder without a marker holds, if anything; the folder may be missing."""
    if not root.exists():
        return None
    for name in sorted(os.listdir(root)):
        part = _PART.fullmatch(name)
        if name != LOCK and not (part and part[1] in (DONE, UNFINISHED)):
            return name
    return None


def _check_same(
    root: Path, saved: SyntheticOptions | None, given: SyntheticOptions
) -> None:
    if saved in (given, None):  # None: renamed since it was looked for
        return
    changes = [
        f"{name}: {vars(saved)[name]} -> {value}"
        for name, value in vars(given).items()
        if vars(saved)[name] != value
    ]
    raise FileExistsError(
        f"{root} holds a synthetic dataset of other options ({', '.join(changes)}); "
        "give another folder, or delete this one"
    )


def _whole_files(folder: Path) -> set[str]:
    """Names of the files in a folder that are not empty."""
    try:
        with os.scandir(folder) as entries:
            return {e.name for e in entries if e.is_file() and e.stat().st_size}
    except FileNotFoundError:
        return set()


def _check_surplus(
    root: Path, found: dict[str, set[str]], options: SyntheticOptions
) -> None:
    """Refuses images that would be trained or tested on, but are not of the dataset."""
    planned = {
        f"{shot.split}/{shot.stem}.jpg" for shots in plan(options) for shot in shots
    }
    surplus = sorted(
        f"{split}/{name}"
        for split in SPLITS
        for name in found[split]
        if name.lower().endswith(IMAGE_ENDINGS)
        and not name.startswith(".")
        and f"{split}/{name}" not in planned
    )
    if surplus:
        more = ", ..." if len(surplus) > _SHOWN else ""
        raise FileExistsError(
            f"{root} holds {len(surplus)} images that are not of its dataset: "
            f"{', '.join(map(printable, surplus[:_SHOWN]))}{more}; move them out"
        )
