"""Times the training step, and the shares of views and of waiting for data.

python -m benchmarks.train_step [--configs synthetic prcc] [--batch_size 8]
    [--steps 10] [--dtype bfloat16] [--no_views] [--wait]

Each config runs in its own process, on random images, so no dataset is needed. Times
are medians over steps after warm-up, each synchronised; the full step alternates with
one whose views are precomputed, unless `--no_views` saves the time to compile that.
Model FLOPs are XLA's count of the program for an accelerator, before optimisation.
Memory is the device's, or on a CPU that of the whole process, including the compiler.

`--wait` measures instead how long a step waits for the loader, alternating with a
repeated batch. It uses the synthetic dataset, which is generated on first use.
"""

import argparse
import importlib
import itertools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks.devices import (
    about_this_machine,
    counted_flops,
    device_memory,
    peak_of_devices,
    run_alone,
)
from mbnet_jax.data import load_dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.devices.mesh import batch_sharding, make_mesh
from mbnet_jax.devices.placement import shardings
from mbnet_jax.parsing.labels import (
    BACKGROUND,
    HEAD,
    LEGS,
    LOWER_CLOTHES,
    UPPER_CLOTHES,
)
from mbnet_jax.runs.network import make_model
from mbnet_jax.training.augment import example_keys
from mbnet_jax.training.optimizer import make_optimizer, make_schedule
from mbnet_jax.training.step import (
    TrainState,
    compiled,
    init_state,
    make_prepare,
    make_train_step,
)

CLASSES = 100
WARM_UP = 2  # steps
# The loader buffers `data.prefetch` batches and up to four more: after a switch between
# loader and repeated batch, this many steps are transient and not counted.
SETTLING = 8
HEADER = (
    "| config | image | batch | dtype | images/s | step | compile | GFLOP a step "
    "| utilisation | memory | views |"
)


class Ready(NamedTuple):
    """A compiled step and its arguments."""

    run: Callable
    state: TrainState
    batch: dict


def main() -> None:
    """Parses the command line, runs the configs and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configs", nargs="+", default=["synthetic", "prcc"])
    parser.add_argument("--batch_size", type=int, help="the config's unless given")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"))
    parser.add_argument("--no_views", action="store_true")
    parser.add_argument("--wait", action="store_true", help="measure the wait for data")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.wait:
        config = load_config("synthetic", arguments.batch_size, arguments.dtype)
        print(waiting(config, arguments.steps))
        return
    if arguments.one:
        config = load_config(arguments.one, arguments.batch_size, arguments.dtype)
        print(measure(config, arguments.steps, not arguments.no_views))
        return
    print(run_alone("benchmarks.devices"))
    print(f"\n{HEADER}\n|{'---|' * HEADER.count(' | ')}---|")
    for name in arguments.configs:
        options = ["--one", name, "--steps", str(arguments.steps)]
        if arguments.batch_size:
            options += ["--batch_size", str(arguments.batch_size)]
        if arguments.dtype:
            options += ["--dtype", arguments.dtype]
        if arguments.no_views:
            options += ["--no_views"]
        print(run_alone("benchmarks.train_step", *options), flush=True)


def load_config(name: str, batch_size: int | None, dtype: str | None) -> ConfigDict:
    """Returns the config of that name, with the command line's changes."""
    config = importlib.import_module(f"configs.{name}").get_config()
    config.train.batch_size = batch_size or config.train.batch_size
    config.model.dtype = dtype or config.model.dtype
    return config.copy_and_resolve_references()


def measure(config: ConfigDict, steps: int, views: bool) -> str:
    """Measures one config; returns its row of the table, with the share of `views`."""
    batch = random_batch(config)
    whole, flops, compiling = compile_step(config, batch)
    whole, _ = timed(whole)
    used = device_memory()
    candidates = {"whole": whole}
    if views:
        candidates["given"], *_ = compile_step(
            config, with_views(config, batch), lambda batch, *_: batch["prepared"]
        )
    times = alternate(candidates, steps)
    peak, seconds = peak_of_devices(config.model.dtype), times["whole"]
    cells = [
        f"| {config.name}",
        f"{config.data.height}x{config.data.width}",
        str(config.train.batch_size),
        config.model.dtype,
        f"{config.train.batch_size / seconds:.1f}",
        f"{1e3 * seconds:,.0f} ms",
        f"{compiling:.1f} s",
        f"{flops / 1e9:,.0f}",
        "-" if peak is None else f"{100 * flops / seconds / peak:.0f} %",
        f"{used / 2**20:,.0f} MiB",
        f"{100 * (1 - times['given'] / seconds):.1f} % |" if views else "- |",
    ]
    return " | ".join(cells)


def random_batch(config: ConfigDict) -> dict[str, jax.Array]:
    """Returns a batch of noise, with parsing maps of a standing figure."""
    rng = np.random.default_rng(0)
    rows, data = config.train.batch_size, config.data
    size = (data.height, data.width)
    parsing = np.full((rows, *size), BACKGROUND, np.uint8)
    bands = (HEAD, UPPER_CLOTHES, LOWER_CLOTHES, LEGS)
    edges = (np.array([0.05, 0.2, 0.5, 0.75, 0.95]) * size[0]).astype(int)
    for label, (top, bottom) in zip(bands, itertools.pairwise(edges), strict=True):
        parsing[:, top:bottom, size[1] // 4 : 3 * size[1] // 4] = label
    person = np.arange(rows, dtype=np.int32) // config.train.images_per_identity
    batch = {
        "image": rng.integers(0, 256, (rows, *size, 3), np.uint8),
        "parsing": parsing,
        "pid": person % CLASSES,
    }
    return jax.device_put(batch, batch_sharding(make_mesh()))


def with_views(config: ConfigDict, batch: dict) -> dict:
    """Returns the batch with its views and targets precomputed, from given maps."""
    keys = example_keys(config.seed + 1, 0, len(batch["pid"]))
    split = batch_sharding(make_mesh())
    views = make_prepare(config, make_model(config.model, CLASSES))
    prepared = jax.jit(views, out_shardings=split)(batch, keys, {})
    return {"pid": batch["pid"], "prepared": prepared}


def compile_step(
    config: ConfigDict, batch: dict, prepare: Callable | None = None
) -> tuple[Ready, float, float]:
    """Returns the step with a new state, its FLOPs, and the seconds of compiling it."""
    mesh = make_mesh()
    model = make_model(config.model, CLASSES)
    schedule = make_schedule(config.train, 100)
    optimizer = make_optimizer(config.train, schedule, config.model.backbones)

    def init() -> TrainState:
        return init_state(config, model, optimizer)

    abstract = jax.eval_shape(init)
    kept = shardings(abstract, mesh, split=config.train.get("shard_parameters", False))
    state = jax.jit(init, out_shardings=kept)
    step = make_train_step(config, model, optimizer, mesh, prepare=prepare)
    start = time.perf_counter()
    executable = compiled(step, mesh, kept).lower(abstract, batch).compile()
    seconds = time.perf_counter() - start
    cpu = make_mesh(jax.devices("cpu")[:1])
    counted = make_train_step(config, model, optimizer, cpu, prepare=prepare)
    flops = counted_flops(counted, abstract, batch)
    return Ready(executable, state(), batch), flops, seconds


def timed(ready: Ready) -> tuple[Ready, float]:
    """Runs a step; returns it with the new state (the old is donated), and seconds."""
    start = time.perf_counter()
    state, _ = jax.block_until_ready(ready.run(ready.state, ready.batch))
    return ready._replace(state=state), time.perf_counter() - start


def alternate(candidates: dict[str, Ready], steps: int) -> dict[str, float]:
    """Returns the median seconds of a step of each, alternating between them."""
    times = {name: [] for name in candidates}
    for _ in range(WARM_UP + steps):
        for name, ready in candidates.items():
            candidates[name], seconds = timed(ready)
            times[name].append(seconds)
    return {name: float(np.median(taken[WARM_UP:])) for name, taken in times.items()}


def waiting(config: ConfigDict, steps: int) -> str:
    """Measures how much of a step's time its data takes; returns a sentence.

    Waiting is the time of the loader's `next`, while the device is idle. Contention is
    what the rest of the step loses to the loader's threads.
    """
    mesh = make_mesh()
    train = load_dataset(config).train
    sampler = IdentityBalancedSampler(
        train.pid,
        train.clothes,
        batch_size=config.train.batch_size,
        images_per_identity=config.train.images_per_identity,
        seed=config.seed,
    )
    batches = Loader(config.data, mesh).train(train, sampler, range(10**6))
    batch = next(batches)
    ready, *_ = compile_step(config, batch)
    waits, loaded, repeated = [], [], []
    for _ in range(3):
        for number in range(SETTLING + steps):
            start = time.perf_counter()
            batch = next(batches)
            wait = time.perf_counter() - start
            ready, seconds = timed(ready._replace(batch=batch))
            if number >= SETTLING:
                waits.append(wait)
                loaded.append(seconds)
        for number in range(SETTLING + steps):
            ready, seconds = timed(ready)
            if number >= SETTLING:
                repeated.append(seconds)
    wait, step, alone = np.sum(waits), np.median(loaded), np.median(repeated)
    return (
        f"{about_this_machine()}\n\n{len(waits)} steps of {config.name} each: "
        f"{1e3 * alone:.1f} ms with the same batch repeated, {1e3 * step:.1f} ms with "
        f"the loader's ({100 * (step / alone - 1):+.1f} %: contention); waiting for it "
        f"took {100 * wait / (wait + np.sum(loaded)):.2f} % of the time "
        f"(median {1e3 * np.median(waits):.2f} ms, longest {1e3 * max(waits):.0f} ms)"
    )


if __name__ == "__main__":
    main()
