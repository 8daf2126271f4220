"""One small network per process, and the runs and exports that hold it."""

import functools
import json
import tempfile
from pathlib import Path

import jax
import pytest
import small_run
import tiny
from untrained import untrained

from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.runs import exported, run_folder
from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.runs.network import Network
from mbnet_jax.search import embedder as embedder_module
from mbnet_jax.search.embedder import Embedder

_patch = pytest.MonkeyPatch()


@functools.cache
def config():
    """The global branch alone, of a backbone that compiles fast."""
    tiny.know_one_block(_patch)
    found = tiny.global_branch_config(folder() / "data")
    tiny.set_backbones(found, name=tiny.ONE_BLOCK)
    found.data.threads = 1
    return found


@functools.cache
def folder() -> Path:
    """For what is made once."""
    return Path(tempfile.mkdtemp(prefix="fuzz-networks-"))


@functools.cache
def network() -> Network:
    return untrained(config(), small_run.one_device())


@functools.cache
def embedder() -> Embedder:
    """Compiled for batches of one size."""
    return Embedder(network(), small_run.one_device())


@functools.cache
def export() -> Path:
    """A folder of an export."""
    path = folder() / "export"
    path.mkdir()
    exported.write_weights(network().variables, path)
    exported.write_config(network(), path, branches=("global",))
    return path


@functools.cache
def run() -> Path:
    """A folder of a run: two checkpoints, metrics, an evaluation."""
    path = folder() / "run"
    (path / "eval").mkdir(parents=True)
    content = {
        "version": run_folder.VERSION,
        "config": config().to_dict(),
        "num_classes": network().model.num_classes,
        "num_clothes": 0,
        "labels": "0123456789abcdef",
    }
    (path / run_folder.FILE).write_text(json.dumps(content, indent=2))
    (path / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 3.5, "learning_rate": 0.5, "bad_steps": 0}\n'
        '{"step": 2, "loss": 2.25, "learning_rate": 0.25, "bad_steps": 0}\n'
    )
    with Checkpoints(path, keep=2) as checkpoints:
        for step in (1, 2):
            checkpoints.save(
                step,
                {"weights": network().variables},
                {"best_step": 1, "best_score": 0.5},
            )
    return path


def compile_once() -> None:
    """Later embedders of the same config use the program of the first."""
    made = {}

    def remembered(config, *rest):
        key = (str(config), *rest)
        try:
            found = made.get(key)
        except TypeError:  # a model that cannot be hashed
            return make_embed(config, *rest)
        if found is None:
            found = made[key] = make_embed(config, *rest)
        return found

    _patch.setattr(embedder_module, "make_embed", remembered)
    jax.config.update("jax_disable_most_optimizations", True)


def restore() -> None:
    """Undoes what later tests would notice."""
    jax.config.update("jax_disable_most_optimizations", False)
    _patch.undo()
