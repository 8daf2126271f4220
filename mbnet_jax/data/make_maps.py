"""Makes the parsing maps of a dataset with a segmentation model."""

import os
from collections.abc import Iterable
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.datasets import read_records
from mbnet_jax.data.load import images_folder
from mbnet_jax.data.parts import parts_of
from mbnet_jax.data.records import Records
from mbnet_jax.files import check_writable, filename_in_errors, write_whole
from mbnet_jax.images import read_image
from mbnet_jax.json_files import write_json
from mbnet_jax.locks import locked
from mbnet_jax.parsing.maker import MAKER, MAPS_FILE, read_maker
from mbnet_jax.parsing.maps import check_map, encode_parsing, map_paths
from mbnet_jax.parsing.options import ParserOptions
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.progress import progress

_SHOWN = 10  # files that a message lists


def make_maps(config: ConfigDict, options: ParserOptions, out: Path) -> int:
    """Makes the maps that are missing in `out`, for every image of the dataset.

    `out` mirrors the image folder; its `MAPS_FILE` records what made the maps. Existing
    files in it are kept. Images that cannot be decoded are left out until the end.

    Returns:
      The number of maps made.

    Raises:
      ValueError: images cannot be decoded, two of them would share a map, the model
        does not fit the options, `out` is among the images, another model or other
        options made the maps in `out`, or some of those cannot be used.
      BlockingIOError: another process makes maps in `out`.
      OSError: a file cannot be read or written.
    """
    (data,) = parts_of(config.data).values()
    folder = images_folder(data)
    records = read_records(data.name, folder, variant=data.get("variant", ""))
    _refuse_image_folder(out, folder, records)
    images = {row.path: None for rows in records.values() for row in rows}
    return make_maps_of(images, folder, Parser(options), out)


def make_maps_of(
    images: Iterable[Path], folder: Path, parser: Parser, out: Path
) -> int:
    """Makes the maps that are missing in `out`, for images in `folder`.

    Args:
      images: their paths.
      folder: what `out` mirrors.
      parser, out: as in `make_maps`, like the result and errors.
    """
    targets = map_paths(images, folder, out)
    check_writable(out, "give another --out")
    with locked(out, wait=False):
        _refuse_links({path.parent for path in targets.values()}, out)
        done = [path for path, target in targets.items() if os.path.lexists(target)]
        _refuse_other_maker(out, parser.maker, holds_maps=bool(done))
        _refuse_damaged({path: targets[path] for path in done}, parser.labels)
        write_json(out / MAPS_FILE, parser.maker)
        return _make(targets, {*done}, parser)


def _make(targets: dict[Path, Path], done: set[Path], parser: Parser) -> int:
    """Writes the map of every image that is not in `done`; returns their number."""
    missing = [path for path in targets if path not in done]
    failures = []
    doing = f"parsing on {parser.provider.removesuffix('ExecutionProvider')}"
    with progress(len(targets), doing, unit="map", initial=len(done)) as bar:
        for start in range(0, len(missing), parser.batch):
            pictures = {}
            for path in missing[start : start + parser.batch]:
                try:
                    pictures[path] = read_image(path)
                except (ValueError, OSError) as error:
                    failures.append(str(error))
            parsed = parser([*pictures.values()]) if pictures else []
            for path, labels in zip(pictures, parsed, strict=True):
                _write(targets[path], encode_parsing(labels))
            bar.update(len(pictures))
    if failures:
        raise ValueError(
            f"made {len(missing) - len(failures)} maps, but {len(failures)} images "
            f"cannot be decoded:{_listed(failures)}\nReplace them, or remove them; the "
            "same command then makes the other maps."
        )
    return len(missing)


def _write(path: Path, data: bytes) -> None:
    try:
        with filename_in_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise OSError(
            f"{path} cannot be written ({error.strerror or error}); the same command "
            "resumes once that is solved"
        ) from error


def _refuse_image_folder(out: Path, folder: Path, records: Records) -> None:
    """Refuses an `out` where readers would take the maps for images."""
    if "\0" in str(out):
        raise ValueError(f"--out={str(out)!r} is not a folder name")
    parents = [
        os.path.commonpath([r.path.parent for r in rows])
        for rows in records.values()
        if rows
    ]
    # Splits are in folders of their own, so that the maps may be in the root's others.
    inside = {os.path.realpath(parent) for parent in parents} - {
        os.path.realpath(folder)
    }
    real = Path(os.path.realpath(out))
    if real == Path(os.path.realpath(folder)) or any(map(real.is_relative_to, inside)):
        raise ValueError(
            f"--out={out} is a folder of the dataset's images, where its maps would "
            "be taken for images; give another --out"
        )


def _refuse_links(parents: Iterable[Path], out: Path) -> None:
    """Refuses folders in `out` that are links to others, which maps would go into."""
    real = os.path.realpath(out)
    for parent in sorted(parents):
        leads_to = Path(os.path.realpath(parent))
        if not leads_to.is_relative_to(real):
            raise ValueError(
                f"{parent} leads to {leads_to}, outside of --out={out}; replace the "
                "link by a folder"
            )


def _refuse_damaged(maps: dict[Path, Path], labels: str) -> None:
    """Refuses to take files for maps that no loader could read; none is deleted."""
    problems = []
    with progress(len(maps), "checking", unit="map", leave=False) as bar:
        for image, path in maps.items():
            try:
                check_map(path, labels, f"{image.name} ({path})")
            except (ValueError, OSError) as error:
                problems.append(str(error))
            bar.update()
    if problems:
        raise ValueError(
            f"{len(problems)} of {len(maps)} existing maps cannot be used:"
            f"{_listed(problems)}\nDelete them; the same command then makes them again."
        )


def _listed(lines: list[str]) -> str:
    rest = len(lines) - _SHOWN
    more = [f"and {rest} more"] if rest > 0 else []
    return "".join(f"\n  {line}" for line in lines[:_SHOWN] + more)


def _refuse_other_maker(out: Path, maker: dict, holds_maps: bool) -> None:
    """Refuses a folder whose maps another maker made, so that maps never mix."""
    saved = read_maker(out, MAKER)
    if saved is not None:
        differing = [key for key in MAKER if saved[key] != maker[key]]
        if not differing:
            return
        how = f"with another {', '.join(differing)}"
    elif holds_maps:
        how = "by another program"
    else:
        return
    raise ValueError(
        f"{out} holds maps that were made {how}: give another --out, or delete it"
    )
