"""Writes a synthetic dataset: images, parsing maps and the options they came from.

With `parser_errors`, the maps in `parsing` are a parser's, and the exact ones are in
`parsing_exact`. The images are the same without.

Every file depends on the options alone: the number of workers, their order and
restarts do not change a byte. Other versions of NumPy or OpenCV may round differently,
and so may other CPUs: OpenBLAS chooses its matrix kernels by them (docs/running.md).
"""

import contextlib
import functools
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mbnet_jax.files import write_whole
from mbnet_jax.locks import locked
from mbnet_jax.parsing import labels as parsing
from mbnet_jax.progress import progress as progress_bar
from mbnet_jax.synthetic.cameras.kinds import make_kind
from mbnet_jax.synthetic.folder import DONE, begin, finish, missing, read_options
from mbnet_jax.synthetic.options import PARSER, SyntheticOptions
from mbnet_jax.synthetic.parser_errors import difficulty_of, parser_errors
from mbnet_jax.synthetic.render import CAMERAS_KEPT, render
from mbnet_jax.synthetic.shots import Shot, image_path, map_paths, plan
from mbnet_jax.synthetic.workers import run, sigterm_exits

__all__ = [
    "DONE",
    "Shot",
    "generate",
    "image_path",
    "map_paths",
    "plan",
    "read_options",
]

_PALETTE = list(np.array(parsing.PALETTE, np.uint8).ravel())
_TASK = 64  # most shots that a worker gets at a time


def generate(
    root: Path | str,
    options: SyntheticOptions,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Generates a dataset in `root`, or what is missing of it.

    Images that exist are kept. A second process waits for the first.

    Args:
      root: the dataset's folder; it is created if need be.
      options: size and seed of the dataset.
      workers: spawned processes, at most one a CPU; None: one a CPU.
      progress: whether to show a progress bar on stderr.

    Returns:
      `root` as a path.

    Raises:
      ValueError: if an argument is wrong, or the dataset's file of options damaged.
      FileExistsError: if `root` holds anything else, or a dataset of other options.
      ChildProcessError: if a worker was killed. The next call completes the dataset.
      OSError: if `root` cannot be written to.
    """
    root = _checked(root, options, workers)
    with _remedy_in_errors(root):
        # First without the lock, which a folder that is read-only cannot have, and
        # which must not be left in somebody's folder.
        if missing(root, options) is None:
            return root
        with locked(root):
            tasks = missing(root, options)
            if tasks is not None:
                begin(root, options)
                _make(root, options, tasks, workers, progress)
                finish(root)
    return root


def _checked(root: Path | str, options: SyntheticOptions, workers: int | None) -> Path:
    if not isinstance(root, str | os.PathLike) or "\0" in os.fspath(root):
        raise ValueError(f"root={root!r} must be the path of a folder")
    if not isinstance(options, SyntheticOptions):
        raise ValueError(f"options={options!r} must be SyntheticOptions")
    whole = isinstance(workers, int) and not isinstance(workers, bool)
    if workers is not None and not (whole and workers >= 1):
        raise ValueError(f"workers={workers!r} must be None or at least 1")
    return Path(root)


@contextlib.contextmanager
def _remedy_in_errors(root: Path) -> Iterator[None]:
    """Says of errors of the system what failed, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a message of our own
            raise
        where = error.filename or root
        raise OSError(
            f"the synthetic dataset in {root} cannot be completed: {error.strerror} "
            f"({where}); make room or correct the permissions, and start again (the "
            "images that exist are kept), or give another folder"
        ) from error


def _make(
    root: Path,
    options: SyntheticOptions,
    cells: list[list[Shot]],
    workers: int | None,
    progress: bool,
) -> None:
    """Renders and writes shots, in parallel."""
    tasks = _tasks(cells)
    cpus = (
        len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    )
    workers = min(workers or cpus, cpus, len(tasks))
    make = functools.partial(_make_shots, root, options)
    total, rest = sum(map(len, plan(options))), sum(map(len, tasks))
    bar = (
        progress_bar(total, "generating", unit="image", initial=total - rest)
        if progress
        else contextlib.nullcontext()
    )
    stopped = f"stopped; the next start keeps the images in {root}, and adds the rest"
    with sigterm_exits(stopped), bar:
        counts = map(make, tasks) if workers <= 1 else run(make, tasks, workers)
        with contextlib.closing(counts) if workers > 1 else contextlib.nullcontext():
            for count in counts:
                if progress:
                    bar.update(count)


def _tasks(cells: list[list[Shot]]) -> list[list[Shot]]:
    """Lists of shots, each for one worker.

    A task holds one person in one outfit, who is dressed once. With more cameras than a
    worker keeps, it holds shots of one camera, since cameras take longer to make.
    """
    cameras = {shot.camera for cell in cells for shot in cell}
    if len(cameras) > CAMERAS_KEPT:
        of_camera = {camera: [] for camera in sorted(cameras)}
        for cell in cells:
            for shot in cell:
                of_camera[shot.camera].append(shot)
        cells = [*of_camera.values()]
    return [cell[i : i + _TASK] for cell in cells for i in range(0, len(cell), _TASK)]


def _encode_parsing(label: np.ndarray) -> bytes:
    """Encodes labels as a PNG with a palette, whose indices are the labels."""
    picture = Image.fromarray(label, mode="P")
    picture.putpalette(_PALETTE)
    stream = io.BytesIO()
    picture.save(stream, "png")
    return stream.getvalue()


def _make_shots(root: Path, options: SyntheticOptions, shots: list[Shot]) -> int:
    """Renders shots and writes those of their files that are missing."""
    for shot in shots:
        image, label, quality = render(
            options, shot.pid, shot.outfit, shot.camera, shot.number
        )
        flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
        _, data = cv2.imencode(".jpg", image[..., ::-1], flags)
        maps = [label]
        if options.parser_errors:
            maps = [_parsed(options, shot, image, label), label]
        for path, content in zip(map_paths(root, shot, options), maps, strict=True):
            _write(path, _encode_parsing(content))
        _write(image_path(root, shot), data.tobytes())
    return len(shots)


def _parsed(
    options: SyntheticOptions, shot: Shot, image: np.ndarray, label: np.ndarray
) -> np.ndarray:
    """The map that a parser would make of a shot, uint8 [h, w]."""
    rows = options.height
    if options.camera_kinds == "varied":
        rows = make_kind(options, shot.camera).rows
    rng = options.rng(PARSER, shot.pid, shot.outfit, shot.camera, shot.number)
    hard = difficulty_of(image, rows)
    return parser_errors(label, rng, options.parser_errors, hard)


def _write(path: Path, data: bytes) -> None:
    # Not synced, which would take longer than rendering. After a loss of power, a file
    # may be empty, and counts as missing.
    if not path.is_file() or not path.stat().st_size:
        write_whole(path, data, sync=False)
