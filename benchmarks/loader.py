"""Times the loader, and computes the cores that keep the training step fed.

python -m benchmarks.loader [--images 33698] [--threads 1 2] [--seconds 5]
    [--folder FOLDER]

Images are renderings of synthetic people with noise, stored as crops of PRCC are (about
500x190 pixels, 20 KB), with their parsing maps. 72 are repeated until there are as many
as in PRCC. All else is training's own: the prepared copy, the sampler, `Loader.train`
and `configs/prcc.py`. With `--folder`, the next run finds the images there. "In memory"
are images that `data.cache_gb` has kept.

Rates depend on what else the machine does; processor time hardly does. *Locked* is the
part of it in which Python's interpreter lets no other thread run: all but reading, the
decoders' C code, OpenCV and stacking. One process loads at most 1 / locked images per
second, however many cores there are.
"""

import argparse
import dataclasses
import functools
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from benchmarks.devices import about_this_machine, published_peak
from benchmarks.unlocked import unlocked
from configs import prcc
from mbnet_jax.data import loader as loading
from mbnet_jax.data.builder import prepare
from mbnet_jax.data.records import Record
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.data.splits import Split, make_split
from mbnet_jax.devices.mesh import batch_sharding, make_mesh
from mbnet_jax.images import decode_image, read_image, resize_image
from mbnet_jax.parsing.maps import decode_parsing, encode_parsing
from mbnet_jax.synthetic import SyntheticOptions, generate
from mbnet_jax.synthetic.shots import Shot, image_path, parsing_path, plan

IMAGES = 33_698  # of PRCC
PERSONS, OUTFITS = 150, 2  # of its training split; of a person
STORED = (500, 190)  # pixels, height and width
PEOPLE = SyntheticOptions(
    train_identities=6,
    test_identities=0,
    outfits=2,
    cameras=3,
    train_images=2,
    height=STORED[0],
    width=STORED[1],
)
NOISE, QUALITY = 4, 90  # grey levels; of JPEG. Together they make 20 KB
BATCH = 64
WARM_UP = 8  # batches
KEPT, UNTIL_KEPT = 450, 80  # images that a cache holds; batches until it has them
# The training step of configs/prcc.py, compiled for 8 chips of a TPU v5e with 8 images
# each (benchmarks/accelerators.md), of one image: FLOPs, bytes accessed, and those of
# them that are moved in the chip's main memory.
FLOPS, BYTES, HBM_BYTES = 1004e9 / 8, 28.0 * 2**30 / 8, 6.05 * 2**30 / 8


class Host(NamedTuple):
    """A machine with accelerators: how many, their kind, bytes per second of each."""

    name: str
    cores: int
    devices: int
    kind: str
    bandwidth: float

    def demands(self) -> Iterator[tuple[str, float]]:
        """Yields what may bound the step, and the images per second it then takes."""
        bandwidth = self.devices * self.bandwidth
        compute = self.devices * published_peak(self.kind, "bfloat16") / FLOPS
        yield "memory, bytes accessed", bandwidth / BYTES
        yield "memory, bytes of HBM", bandwidth / HBM_BYTES
        yield "compute, 40 % of the peak", 0.4 * compute
        yield "compute, the peak", compute


# Bandwidths: cloud.google.com/tpu/docs/v5e; NVIDIA's data sheet of the H100 SXM.
HOSTS = (
    Host("v5e-8", 112, 8, "TPU v5 lite", 819e9),
    Host("H100", 16, 1, "NVIDIA H100 80GB HBM3", 3.35e12),
)


class Cost(NamedTuple):
    """Images per second; processor time of an image, and of that the locked part."""

    rate: float
    seconds: float
    locked: float


class _NoMaps(NamedTuple):
    """A split's source, without its parsing maps."""

    source: Any

    def __getitem__(self, index: int) -> dict:
        return {**self.source[index], "parsing": b""}


def main() -> None:
    """Parses the command line, measures, and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5, help="of a measurement")
    parser.add_argument("--folder", type=Path, help="keeps the images")
    arguments = parser.parse_args()
    data = prcc.get_config().copy_and_resolve_references().data
    print(f"{about_this_machine()}\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        whole = make_split_of(folder, STORED, arguments.images)
        resized = (data.height, data.width)
        splits = {
            "500x190, map": whole,
            "500x190": dataclasses.replace(whole, source=_NoMaps(whole.source)),
            "384x192, map": make_split_of(folder, resized, arguments.images // 10),
            "in memory": whole.subset(np.arange(KEPT)),
        }
        print_stages(whole, data)
        print("\n| stored | threads | images/s | processor time | locked |")
        print("|---|---|---|---|---|")
        costs = {}
        for name, threads in itertools.product(splits, arguments.threads):
            data.threads = threads
            data.cache_gb = 1.0 if name == "in memory" else 0.0
            cost = measure(splits[name], data, arguments.seconds)
            costs.setdefault(name, cost)  # of the first number of threads
            print(
                f"| {name} | {threads} | {cost.rate:,.0f} | {1e6 * cost.seconds:,.0f} "
                f"us | {1e6 * cost.locked:,.0f} us |",
                flush=True,
            )
    print_hosts(costs["500x190, map"], costs["in memory"])


def make_split_of(folder: Path, size: tuple[int, int], count: int) -> Split:
    """Writes images of a size, prepares `count` as a dataset, and returns them."""
    rendered = generate(folder / "rendered", PEOPLE)
    root = folder / "{}x{}".format(*size)
    root.mkdir(exist_ok=True)
    shots = itertools.chain.from_iterable(plan(PEOPLE))
    files = [_write(rendered, shot, root, size) for shot in shots]
    records = [
        Record(image, n % PERSONS, 0, n % (PERSONS * OUTFITS), parsing)
        for n, (image, parsing) in zip(range(count), itertools.cycle(files))
    ]
    sources = prepare({"train": records}, root, root / "prepared", "canonical")
    return make_split(records, sources["train"], root)


def _write(rendered: Path, shot: Shot, root: Path, size: tuple) -> tuple[Path, Path]:
    """Writes a shot with noise, and its map, unless they exist; returns their paths."""
    image_file, map_file = (root / f"{shot.stem}{end}" for end in (".jpg", ".png"))
    if not map_file.exists():
        image = resize_image(read_image(image_path(rendered, shot)), size)
        rng = np.random.default_rng([*shot.stem.encode()])
        noisy = np.clip(image + rng.normal(0, NOISE, image.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(image_file, quality=QUALITY)
        data = parsing_path(rendered, shot).read_bytes()
        map_file.write_bytes(
            encode_parsing(decode_parsing(data, "canonical", size, shot.stem))
        )
    return image_file, map_file


def print_stages(split: Split, data: ConfigDict) -> None:
    """Prints the processor time of each stage of one image, measured alone."""
    size, count = (data.height, data.width), min(500, len(split))
    examples = [split.example(index) for index in range(count)]
    images = [decode_image(example["image"], "x") for example in examples]
    batch = [loading.load_example(split, index, data) for index in range(BATCH)]
    put = functools.partial(
        loading._to_global, sharding=batch_sharding(make_mesh()), batch_size=BATCH
    )
    whole = loading._stacked([batch])
    stages = {
        "read": (split.example, range(count), 1),
        "decode the image": (lambda e: decode_image(e["image"], "x"), examples, 1),
        "resize it": (lambda image: resize_image(image, size), images, 1),
        "decode and resize the map": (
            lambda e: decode_parsing(e["parsing"], data.parsing_labels, size, "x"),
            examples,
            1,
        ),
        "stack": (loading._stacked, [[batch]] * 20, BATCH),
        "place": (lambda b: jax.block_until_ready(put(b)), [whole] * 20, BATCH),
    }
    for what in ("image", "parsing"):
        stored = np.mean([len(example[what]) for example in examples])
        print(f"{what}: {stored / 1000:.1f} KB")
    print("\n| stage | processor time of an image |\n|---|---|")
    for name, (call, arguments, images_each) in stages.items():
        best = min(_seconds(call, arguments) for _ in range(5)) / images_each
        print(f"| {name} | {1e6 * best:,.0f} us |", flush=True)


def _seconds(call: Callable, arguments: Sequence) -> float:
    start = time.process_time()
    for argument in arguments:
        call(argument)
    return (time.process_time() - start) / len(arguments)


def measure(split: Split, data: ConfigDict, seconds: float) -> Cost:
    """Loads batches as training does: the medians of five measurements."""
    sampler = IdentityBalancedSampler(
        split.pid, split.clothes, batch_size=BATCH, images_per_identity=4, seed=0
    )
    mesh = make_mesh(jax.devices()[:1])
    found = []
    with unlocked() as spent:
        batches = loading.Loader(data, mesh).train(split, sampler, range(10**6))
        for _ in range(UNTIL_KEPT if data.cache_gb else WARM_UP):
            next(batches)
        for _ in range(5):
            spent.clear()
            images, start, cpu = 0, time.perf_counter(), time.process_time()
            while time.perf_counter() - start < seconds / 5:
                jax.block_until_ready(next(batches))
                images += BATCH
            whole = time.process_time() - cpu
            rate = images / (time.perf_counter() - start)
            found.append((rate, whole / images, (whole - sum(spent)) / images))
        del batches  # its threads end
    return Cost(*np.median(found, axis=0).tolist())


def print_hosts(decoded: Cost, kept: Cost) -> None:
    """Prints what feeds the step of each host, were its cores those of this machine."""
    print(
        "\n| host | cores | the step's bound | images/s | cores needed "
        "| processes | cores, in memory | processes |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for host in HOSTS:
        for bound, rate in host.demands():
            needed = [
                f"{rate * cost.seconds:.1f} | {rate * cost.locked:.2f}"
                for cost in (decoded, kept)
            ]
            print(
                f"| {host.name} | {host.cores} | {bound} | {rate:,.0f} "
                f"| {needed[0]} | {needed[1]} |"
            )


if __name__ == "__main__":
    main()
