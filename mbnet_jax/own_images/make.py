"""Makes the manifest and the config of a folder of photographs."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mbnet_jax.config import load_config
from mbnet_jax.data import read_records
from mbnet_jax.data.datasets.manifest import FILE
from mbnet_jax.data.records import Records
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.files import check_writable, printable, write_whole
from mbnet_jax.own_images import describe, next_steps
from mbnet_jax.own_images.config_text import config_text
from mbnet_jax.own_images.divide import divide
from mbnet_jax.own_images.guess import Guess, guess_pattern
from mbnet_jax.own_images.listing import Images, find_images
from mbnet_jax.own_images.manifest_text import manifest_text
from mbnet_jax.own_images.pattern import Labels, Pattern
from mbnet_jax.own_images.sizes import find_device, fit
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.maker import LABELS_FIELD, check_maker, read_maker
from mbnet_jax.parsing.maps import map_paths
from mbnet_jax.training.check import check_run


@dataclass(frozen=True)
class Request:
    """What is asked for: the flags of `mbnet-init`.

    Attributes:
      folder: of the photographs.
      pattern: of their names; None: it is guessed.
      out: the folder to write into; None: `folder`.
      maps: the folder of parsing maps, or None.
      labels: their label set; None: what `mbnet-parse` wrote beside them.
      test_fraction: share of the persons to test on, in 0..1.
      seed: of the draw of test persons.
      imagenet: whether to start from ImageNet's weights.
      dry_run: whether nothing is written.
    """

    folder: Path
    pattern: str | None = None
    out: Path | None = None
    maps: Path | None = None
    labels: str | None = None
    test_fraction: float = 1 / 3
    seed: int = 0
    imagenet: bool = True
    dry_run: bool = False

    @property
    def root(self) -> Path:
        """The folder to write into."""
        return self.folder if self.out is None else self.out

    @property
    def manifest(self) -> Path:
        """The manifest's file."""
        return self.root / FILE

    @property
    def config(self) -> Path:
        """The config's file."""
        return self.root / ("config.py" if self.maps is None else "config_maps.py")

    @property
    def name(self) -> str:
        """The name of the run."""
        name = self.folder.resolve().name.lstrip(".") or "photos"
        return name if self.maps is None else f"{name}_maps"


def make(request: Request) -> Iterator[str]:
    """Writes the two files; yields what to say meanwhile, line by line.

    A manifest that exists is used as it is.

    Raises:
      FileNotFoundError: if a folder is missing, or has no images.
      FileExistsError: if the config exists.
      ValueError: if persons cannot be told, are too few, or a flag does not fit.
      OSError: if nothing can be written.
    """
    labels = _check(request)
    own = os.path.lexists(request.manifest) and not request.dry_run
    images = find_images(request.folder, [request.maps] if request.maps else [])
    if own:
        yield f"{request.manifest} exists and is used as it is"
    else:
        text = yield from _new_manifest(request, images)
    if request.dry_run:
        yield "nothing is written (--dry-run)"
        return
    check_writable(request.root, "give --out")
    if not own:
        write_whole(request.manifest, text)
        yield f"wrote {printable(request.manifest)}"
    try:
        yield from _new_config(request, images, labels)
    except BaseException:
        if not own:  # the next call makes it again
            request.manifest.unlink(missing_ok=True)
        raise


def _check(request: Request) -> str:
    """Refuses flags that do not fit; returns the label set of the maps, or ""."""
    if not request.folder.is_dir():
        there = os.path.lexists(request.folder)
        what = "is not a folder" if there else "does not exist"
        raise FileNotFoundError(
            f"{request.folder} {what}; give the folder of the photographs"
        )
    if not 0 < request.test_fraction < 1:
        raise ValueError(
            f"--test-fraction={request.test_fraction} must be above 0 and below 1"
        )
    if request.seed < 0:
        raise ValueError(f"--seed={request.seed} must not be negative")
    if os.path.lexists(request.config) and not request.dry_run:
        raise FileExistsError(
            f"{request.config} exists and is not replaced; train with it, move it "
            "away, or give another --out"
        )
    exists = os.path.lexists(request.manifest) and not request.dry_run
    if request.pattern is not None and exists:
        raise FileExistsError(
            f"{request.manifest} exists and is not replaced, so --pattern would "
            "change nothing; leave --pattern out, move the file away, or give --out"
        )
    labels = request.labels or ""
    if request.maps is not None:
        if not request.maps.is_dir():
            raise FileNotFoundError(f"no such folder of parsing maps: {request.maps}")
        made = read_maker(request.maps, LABELS_FIELD)
        if not labels and made is None:
            raise ValueError(
                f"another program made the maps in {request.maps}; give their label "
                f"set, --labels={'|'.join(LABEL_SETS)}"
            )
        labels = labels or made["labels"]
        check_maker(request.maps, labels, flag="labels")
    return labels


def _new_manifest(request: Request, images: Images) -> Iterator[str]:
    """Says what the names tell; returns the manifest's text."""
    folder, command = request.folder, next_steps.command(request)
    if not images.names:
        yield from describe.of_left_out(images.left_out, [])
        raise FileNotFoundError(f"{folder} has no image that can be used")
    yield f"{printable(folder)}: {len(images.names)} images"
    if request.pattern is None:
        found = guess_pattern(images.names)
    else:
        found = Guess(Pattern(request.pattern), [])
    read = {name: found.pattern.match(name) for name in images.names}
    labels = {name: row for name, row in read.items() if row is not None}
    if not labels:
        shown = describe.some_names(images.names)
        raise ValueError(
            f'no name fits --pattern "{found.pattern.text}"; the names are like '
            f"{shown}; correct it"
        )
    yield from describe.of_pattern(found.pattern, labels, request.pattern is None)
    if request.pattern is None:
        yield from describe.of_others(found.others, command, request.dry_run)
    unfit = [name for name, row in read.items() if row is None]
    yield from describe.of_left_out(images.left_out, unfit)
    division = divide(labels, request.test_fraction, request.seed)
    yield from describe.of_division(division, labels)
    if images.wide:
        yield (
            "note: most images are not higher than wide; each should show one person, "
            "cropped as a detector does"
        )
    return _manifest(request, division.splits, labels)


def _manifest(request: Request, splits: dict[str, str], labels: dict[str, Labels]):
    folder, root = request.folder.resolve(), request.root.resolve()
    maps = {}
    if request.maps is not None and not folder.is_relative_to(root):
        # The config's folder of maps would have to mirror the manifest's folder.
        paths = [folder / name for name in splits]
        found = map_paths(paths, folder, request.maps.resolve())
        maps = {name: found[folder / name] for name in splits}
    return manifest_text(splits, labels, folder, root, maps)


def _new_config(request: Request, images: Images, labels: str) -> Iterator[str]:
    """Writes the config, checks it, and says what comes next."""
    records = read_records("manifest", request.root)
    complete = _have_maps(records)
    maps = None
    if request.maps is not None and not complete:
        maps = request.maps.resolve()
        records = read_records("manifest", request.root, maps)
    if complete and not labels:
        raise ValueError(
            f"{request.manifest} names parsing maps; give their label set, "
            f"--labels={'|'.join(LABEL_SETS)}"
        )
    mesh = make_mesh()
    device = find_device(mesh)
    sizes = fit(
        records["train"],
        device,
        images.height,
        maps=complete or maps is not None,
        imagenet=request.imagenet,
        own_validation="val" in records,
    )
    train = records["train"]
    persons = len({row.pid for row in train})
    text = config_text(request.name, sizes, device, len(train), persons, maps, labels)
    write_whole(request.config, text)
    check_run(load_config(request.config), mesh, training=True)
    yield (
        f"wrote {printable(request.config)} for {device.title}: images of "
        f"{sizes.height}x{sizes.width}, {sizes.title}, "
        f"{sizes.epochs * sizes.steps} steps of {sizes.persons} persons x "
        f"{sizes.each} images"
    )
    yield from next_steps.after(request, records, sizes, device)


def _have_maps(records: Records) -> bool:
    return all(row.parsing_path for rows in records.values() for row in rows)
