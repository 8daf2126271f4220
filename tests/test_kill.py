"""Training that is killed again and again ends like training that is not.

`pytest tests/test_kill.py --kills=20` kills more often than the suite has time for.
"""

import multiprocessing
import os
import signal
import sys
import time

import jax
import numpy as np
import pytest
import small_run
from small_run import assert_same

SECONDS = 120  # that a process may take until it trains


def long_config(root, kills):
    """Enough steps to be killed in; each is saved, every other is logged."""
    return small_run.small_config(
        root, epochs=kills, steps_per_epoch=5, checkpoint_every=1, log_every=2
    )


def leaves(state):
    return jax.tree.leaves(jax.device_get(state))


def train(root, kills, workdir):
    """Trains, in a process of its own; writes the final state to final.npz."""
    with open(os.devnull, "w") as sys.stdout, pytest.MonkeyPatch.context() as patch:
        from mbnet_jax.data import load_dataset

        sys.stderr = sys.stdout
        small_run.install(patch)
        config = long_config(root, kills)
        mesh = small_run.one_device()
        state = small_run.train(config, load_dataset(config), workdir, mesh)
        np.savez(workdir / "final.npz", *leaves(state))


def begin(*args):
    # The server has imported everything; its fork only has to trace.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["small_run", "mbnet_jax.data"])
    process = context.Process(target=train, args=args)
    process.start()
    return process


def is_saving(workdir):
    return any(workdir.glob("*/*.orbax-checkpoint-tmp*"))


def count_lines(workdir):
    path = workdir / "metrics.jsonl"
    return len(path.read_bytes().splitlines()) if path.is_file() else 0


def wait_until(condition, process):
    deadline = time.monotonic() + SECONDS
    while process.is_alive() and not condition():
        assert time.monotonic() < deadline, "the process makes no progress"
        time.sleep(0.001)


def kill(workdir, number, rng, args):
    """Starts training and kills it: in turn at its start, in a save, a step, a save."""
    before = count_lines(workdir)
    process = begin(*args)
    if number % 4:
        wait_until(lambda: count_lines(workdir) > before, process)
    if number % 2:
        wait_until(lambda: is_saving(workdir), process)
    time.sleep(rng.uniform(0, 0.02 if number % 2 else 0.4))
    assert process.is_alive(), "training ended before it was killed"
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_killed_at_random_moments_a_run_ends_bit_equal(small, tmp_path, pytestconfig):
    config, dataset, mesh = small
    kills, root = pytestconfig.getoption("kills"), config.data.root
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for workdir in (whole, killed):
        workdir.mkdir()
    state = small_run.train(long_config(root, kills), dataset, whole, mesh)

    rng = np.random.default_rng(0)
    args = (root, kills, killed)
    while_saving = 0
    for number in range(kills):
        kill(killed, number, rng, args)
        while_saving += is_saving(killed)
    print(f"{kills} kills, {while_saving} of them while a checkpoint was written")
    assert while_saving
    process = begin(*args)
    process.join()
    assert process.exitcode == 0

    with np.load(killed / "final.npz") as found:
        assert_same(leaves(state), [*found.values()])
    for workdir in (whole, killed):
        for folder in ("best", "checkpoints"):
            names = "\n".join(sorted(p.name for p in (workdir / folder).iterdir()))
            (workdir / f"{folder}.txt").write_text(names)
    for name in ("metrics.jsonl", "best.txt", "checkpoints.txt"):
        assert (killed / name).read_text() == (whole / name).read_text()
