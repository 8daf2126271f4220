"""Runs with transformers: what the tests of residual networks show, for these.

One run has all of it: three branches, two of which share a transformer that drops
paths, CAL, micro-batches, steps whose loss or gradient is not finite, validation.
"""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_run
import tiny
from hurry import in_a_hurry
from searching import GLOBAL, opened
from test_training import losses, scores, up_to

from mbnet_jax import Embedder
from mbnet_jax import losses as terms
from mbnet_jax.api import Run
from mbnet_jax.data.load import images_folder
from mbnet_jax.data.loader import Loader
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import embed_split
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.export.write import export_network
from mbnet_jax.models import BRANCHES
from mbnet_jax.training.loop import train

STEPS = 6


def config_of(root):
    config = tiny.tiny_config(root)
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    tiny.use_transformers(config)
    with config.unlocked():
        config.model.backbones["global"].drop_path = 0.2
        config.model.backbones.clothing_unrelated.share = "global"
        config.train.update(optimizer="adamw", layer_decay=0.8, clip_norm=1.0)
    config.loss.update(cal=1.0, cal_start_epoch=1)
    config.train.update(batch_size=16, images_per_identity=4, accumulate=2)
    config.train.update(epochs=2, steps_per_epoch=STEPS // 2, checkpoint_every=3)
    return config


def sometimes_bad(outputs, targets, pid, config, *more):
    """The loss; infinite with persons 0 and 1, its gradient with 0 and 2."""
    total, scalars = terms.total(outputs, targets, pid, config, *more)

    def meet(*persons):
        return jnp.all(jnp.any(pid == jnp.array(persons)[:, None], axis=1))

    total += jnp.where(meet(0, 1), jnp.inf, 0)
    zero = 0 * sum(f.sum() for f in outputs.features.values())
    total += jnp.sqrt(jnp.where(meet(0, 2), zero, 1))  # its slope at 0 is not finite
    return total, scalars | {"loss": total}


def trained(config, dataset, workdir, devices):
    with pytest.MonkeyPatch.context() as patch, in_a_hurry():
        tiny.know_one_block(patch)
        return train(config, dataset, workdir, make_mesh(devices), loss=sometimes_bad)


@pytest.fixture(scope="module")
def run(small_data, tmp_path_factory):
    """The run on one device: config, dataset, folder, state."""
    root, dataset = small_data
    config, workdir = config_of(root), tmp_path_factory.mktemp("run")
    return (
        config,
        dataset,
        workdir,
        trained(config, dataset, workdir, jax.devices()[:1]),
    )


def logged(workdir):
    return [*map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())]


def test_it_logs_every_term_and_counts_bad_steps(run):
    _, _, workdir, state = run
    assert int(state.step) == STEPS and len(scores(workdir)) == 2
    steps = [line for line in logged(workdir) if "loss" in line]
    assert {*BRANCHES} == {
        name.partition("/")[2] for name in steps[0] if name.startswith("triplet/")
    }
    assert {"cal", "clothes", "balance", "background", "ktm_area"} < {*steps[-1]}
    counted = [line["bad_steps"] for line in logged(workdir) if "bad_steps" in line]
    assert 0 < counted[-1] < STEPS and len(counted) == STEPS
    tree = jax.tree.leaves(state.variables)
    assert all(np.isfinite(leaf).all() for leaf in tree)


def test_eight_devices_train_like_one(run, tmp_path):
    config, dataset, workdir, _ = run
    trained(config, dataset, tmp_path / "run", jax.devices())
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(workdir), rtol=1e-4)
    assert scores(tmp_path / "run") == pytest.approx(scores(workdir), abs=0.01)


def test_a_resumed_run_ends_bit_equal(run, tmp_path):
    config, dataset, workdir, state = run
    up_to(3, workdir, tmp_path / "run")
    again = trained(config, dataset, tmp_path / "run", jax.devices()[:1])
    small_run.assert_same(state.parts(), again.parts())


def test_a_test_embedder_search_and_export_agree(run, tmp_path):
    config, dataset, workdir, _ = run
    with pytest.MonkeyPatch.context() as patch, in_a_hurry():
        tiny.know_one_block(patch)
        mesh = small_run.one_device()
        folder = Run(workdir, mesh, dataset=dataset)
        config.eval.update(report=True, report_lists=1)
        results = folder.evaluate(config)
        assert {*BRANCHES, "all"} < {*results["general"]}  # and chance
        page = (workdir / "eval" / "report.html").read_text()
        for branch in ("global", "clothing_unrelated"):
            caption = f"attention rollout, {BRANCHES[branch].title}"
            shown = re.findall(f"<figcaption>{caption}: ([0-9.]+) to", page)
            assert shown and all(0 < float(low) <= 1 for low in shown)

        network, split = folder.load(mesh), dataset.test["query"]
        embed = make_embed(config, network.model, mesh)
        loader = Loader(config.data, mesh)
        expected = embed_split(embed, network.variables, split, loader, 8)
        images = images_folder(config.data)
        files = [images / name for name in split.names]
        maps = [images / "parsing" / f"{name[:-4]}.png" for name in split.names]
        rows = Embedder.load(workdir).embed(files, maps, batch_size=8)
        np.testing.assert_allclose(rows, expected["all"], atol=1e-5)
        assert np.abs(rows - rows[::-1]).max() > 1e-3

        out = tmp_path / "exported"
        # It compares the programs with the network, to 1e-4.
        differences = export_network(str(workdir), out, platforms=("cpu",), onnx=False)
        assert {*differences} == {"embed.stablehlo", "embed_global.stablehlo"}
        again = Embedder.load(out).embed(files[:2], maps[:2], batch_size=8)
        np.testing.assert_allclose(again, rows[:2], atol=1e-6)

        exported = Embedder.load(out)
        gallery = opened(images / "query", exported, cache=tmp_path / "cache")
        assert len(gallery.names) == len(split) and not gallery.failures
        paths = [images / "query" / name for name in gallery.names]
        np.testing.assert_allclose(
            gallery.features[gallery.rows],
            exported.embed(paths, branches=GLOBAL, batch_size=4),
            atol=1e-6,
        )
