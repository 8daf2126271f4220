"""A run to export, of a network with random weights."""

import json
from pathlib import Path

import jax
import numpy as np
import tiny

from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.runs.network import abstract_variables, make_model
from mbnet_jax.runs.run_folder import FILE, VERSION

STEP, CLASSES, CLOTHES = 7, 5, 9


def run_config(root: Path):
    """Every module on; a transformer, and layers with a form of their own on a CPU."""
    c = tiny.tiny_config(root)
    tiny.set_backbones(c, name=tiny.ONE_BLOCK)
    c.model.backbones["global"].width = 128  # with rounding errors of real networks
    with c.unlocked():
        own = c.model.backbones.clothing_unrelated
        own.update(name=tiny.TWO_BLOCKS, pooling="token_avg")
    c.model.backbones.mask.stem = "imagenet"  # with the max pool
    c.loss.cal = 1.0  # with a clothes classifier
    c.model.ktm_zoom = 0.6
    return c


def save_run(workdir: Path) -> Path:
    """Fills the folder of a run: a network whose every variable matters."""
    c = run_config(workdir / "data")
    model = make_model(c.model, CLASSES, CLOTHES)
    rng = np.random.default_rng(0)

    def random(path, leaf):
        if "'var'" in jax.tree_util.keystr(path):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(leaf.dtype)
        fan = np.prod(leaf.shape[:-1]) or 1
        values = rng.standard_normal(leaf.shape) / np.sqrt(fan)
        return values.astype(leaf.dtype)

    abstract = abstract_variables(c, model)
    # In this order, on which the random values depend.
    weights = {
        name: jax.tree.map_with_path(random, abstract[name])
        for name in ("params", "batch_stats")
    }
    content = {
        "version": VERSION,
        "config": c.to_dict(),
        "num_classes": CLASSES,
        "num_clothes": CLOTHES,
    }
    (workdir / FILE).write_text(json.dumps(content))
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(
            STEP,
            {"weights": jax.device_put(weights)},
            {"best_step": STEP, "best_score": 0.5},
        )
    return workdir
