"""A run to export, of a network with random weights."""

import json
from pathlib import Path

import jax
import numpy as np
import tiny

from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.step import init_state, make_model

STEP, CLASSES, CLOTHES = 7, 5, 9


def run_config(root: Path):
    """Every module on; layers that have a form of their own on a CPU are there."""
    c = tiny.tiny_config(root)
    c.model.backbone = c.model.mask_backbone = tiny.ONE_BLOCK
    c.model.width = 128  # Winograd's form
    c.model.mask_stem = "imagenet"  # with the max pool
    c.loss.cal = 1.0  # with a clothes classifier
    return c


def save_run(workdir: Path) -> Path:
    """Fills the folder of a run: a network whose every variable matters."""
    c = run_config(workdir / "data")
    optimizer = make_optimizer(c.train, steps_per_epoch=1)
    model = make_model(c.model, CLASSES, CLOTHES)
    rng = np.random.default_rng(0)

    def drawn(path, leaf):
        if "'var'" in jax.tree_util.keystr(path):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(leaf.dtype)
        fan = np.prod(leaf.shape[:-1]) or 1
        values = rng.standard_normal(leaf.shape) / np.sqrt(fan)
        return values.astype(leaf.dtype)

    abstract = jax.eval_shape(lambda: init_state(c, model, optimizer))
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract)
    state = state.replace(
        step=np.int32(STEP),
        params=jax.tree.map_with_path(drawn, abstract.params),
        batch_stats=jax.tree.map_with_path(drawn, abstract.batch_stats),
    )
    content = {"config": c.to_dict(), "num_classes": CLASSES, "num_clothes": CLOTHES}
    (workdir / "config.json").write_text(json.dumps(content))
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(jax.device_put(state), {"best_step": STEP, "best_score": 0.5})
    return workdir
