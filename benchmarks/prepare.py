"""Times and memory of preparing a dataset of many images, and of the next start.

python -m benchmarks.prepare [--images 33698 126441 228156] [--folder FOLDER]

Images are noise of 256x128 pixels, JPEG files of 7 KB, each a file of its own in PRCC's
layout, of up to 5,000 persons. With `--folder`, the next run finds them there.
Each start is a process of its own, on files that the kernel may have in memory. *list*
is `read_records`, *check and write* `prepare` on the first start; *second start* is
`load_dataset` with the copy that is there. None includes imports, which *process* does.
*memory* is the peak of the process, *imports* that before the dataset is read.
"""

import argparse
import contextlib
import io
import itertools
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.devices import about_this_machine, run_alone

SIZES = (33_698, 126_441, 228_156)  # of PRCC, MSMT17 and LaST
PERSONS = 2_500  # to train on; as many to test: 11,700 folders, LaST has 10,900
SPLITS = {"train": 0.31, "val": 0.09, "A": 0.3, "B": 0.15, "C": 0.15}
DIFFERENT, SIZE, QUALITY = 300, (256, 128), 72  # images; pixels; of JPEG


def main() -> None:
    """Parses the command line, measures, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=SIZES)
    parser.add_argument("--folder", type=Path, help="keeps the images")
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.start:
        print(json.dumps(start(arguments.start)))
        return
    print(f"{about_this_machine()}\n")
    print(
        "| images | list | check and write | processor time of both | memory "
        "| second start | its processor time | process | memory | imports |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for count in arguments.images:
            root = (arguments.folder or Path(temporary)) / str(count)
            write_images(root, count)
            shutil.rmtree(root / "prepared", ignore_errors=True)
            first, second = measure(root), measure(root)
            print(
                f"| {count:,} | {first['list']:.1f} s | {first['prepare']:.1f} s "
                f"| {first['processor']:.1f} s | {first['memory']:,.0f} MiB "
                f"| {second['load']:.2f} s | {second['processor']:.2f} s "
                f"| {second['process']:.1f} s | {second['memory']:,.0f} MiB "
                f"| {second['imports']:,.0f} MiB |",
                flush=True,
            )


def measure(root: Path) -> dict[str, float]:
    """Runs `start` in a process of its own, and times that process."""
    began = time.perf_counter()
    found = json.loads(run_alone("benchmarks.prepare", "--start", str(root)))
    return found | {"process": time.perf_counter() - began}


def start(root: Path) -> dict[str, float]:
    """Loads the dataset; returns seconds and MiB."""
    from mbnet_jax.config import load_config
    from mbnet_jax.data import load

    spent = {}

    def timed(name: str, function):
        def call(*args):
            began = time.perf_counter()
            result = function(*args)
            spent[name] = time.perf_counter() - began
            return result

        return call

    load.read_records = timed("list", load.read_records)
    load.prepare = timed("prepare", load.prepare)
    more = [f"data.root={root}", "model.branches=('global',)", "loss.ktm_area=0"]
    config = load_config("prcc", more)
    imports, processor = _peak(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):  # warnings of counts
        timed("load", load.load_dataset)(config)
    spent["processor"] = time.process_time() - processor
    return spent | {"imports": imports, "memory": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_images(root: Path, count: int) -> None:
    """Writes `count` images in PRCC's layout, unless they exist."""
    if (root / "complete").exists():
        return
    contents = [_image(seed) for seed in range(DIFFERENT)]
    paths = itertools.chain.from_iterable(
        _paths(root / "prcc" / "rgb", split, round(share * count))
        for split, share in SPLITS.items()
    )
    for path, content in zip(paths, itertools.cycle(contents), strict=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "complete").write_text("")


def _paths(folder: Path, split: str, count: int) -> Iterator[Path]:
    persons = min(PERSONS, count // 6)
    for number in range(count):
        person = number % persons + 1
        if split in "ABC":
            place = folder / "test" / split / f"{person + PERSONS:05d}"
            yield place / f"cropped_rgb{number:06d}.jpg"
        else:
            camera = "ABC"[number // persons % 3]
            place = folder / split / f"{person:05d}"
            yield place / f"{camera}_cropped_rgb{number:06d}.jpg"


def _image(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    rows, columns = (side // 8 for side in SIZE)
    coarse = rng.integers(0, 255, (rows, columns, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize(SIZE[::-1]), np.float32)
    image += rng.normal(0, 4, image.shape)
    stream = io.BytesIO()
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    picture.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


if __name__ == "__main__":
    main()
