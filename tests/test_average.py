"""The moving average of the weights: what it is, who reads it, that it resumes."""

import itertools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_run
import tiny
from small_run import assert_same

from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.runs.network import make_model
from mbnet_jax.runs.run_folder import RunFolder, num_classes
from mbnet_jax.training import loop, validate
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.state import TrainState, averaged
from mbnet_jax.training.step import init_state, make_train_step

STEPS, EMA = 12, 0.6
BEFORE = 4  # the checkpoint from which a run resumes


@pytest.fixture(scope="module")
def made_step():
    return tiny.made_once(make_train_step)


@pytest.fixture
def averaging(small, made_step, monkeypatch):
    """Config, dataset and mesh of a small run that averages; what it validated."""
    config, dataset, mesh = small
    config.train.update(ema=EMA, checkpoint_every=1, keep=STEPS)
    validated = []

    def make_validate(*_):
        def validate(variables):
            validated.append(jax.device_get(variables))
            return {
                "rank1": 0.0,
                "mAP": 0.5 - 0.1 * len(validated),
            }  # the first is best

        return validate

    monkeypatch.setattr(loop, "make_train_step", made_step)
    monkeypatch.setattr(validate, "make_validate", make_validate)
    return config, dataset, mesh, validated


def states_of(workdir, config, dataset, mesh):
    """The state after each step: the initial one, and those of the checkpoints."""
    model = make_model(config.model, num_classes(dataset.train))
    optimizer = make_optimizer(config.train, lambda step: 0.0)
    first = jax.jit(lambda: init_state(config, model, optimizer))()
    states = [first]
    with Checkpoints(workdir, create=False) as checkpoints:
        for step in range(1, STEPS + 1):
            restored = checkpoints.restore(step, first.parts(), mesh)
            states.append(TrainState.of_parts(restored.parts))
    return jax.device_get(states)


def test_a_run_averages_its_weights_validates_and_saves_them(averaging, tmp_path):
    config, dataset, mesh, validated = averaging
    workdir = tmp_path / "run"
    final = small_run.train(config, dataset, workdir, mesh)
    states = states_of(workdir, config, dataset, mesh)
    assert_same(states[-1], final)
    assert_same(states[0].average, states[0].params)
    bad = [a.bad_steps < b.bad_steps for a, b in itertools.pairwise(states)]
    assert 0 < sum(bad) < STEPS
    for step, (before, after) in enumerate(itertools.pairwise(states)):
        if bad[step]:
            assert_same(before.average, after.average)
            assert_same(before.params, after.params)
            continue
        kept = min(EMA, (1 + step) / (10 + step))
        jax.tree.map(
            lambda a, old, new, kept=kept: np.testing.assert_allclose(
                a, kept * np.float64(old) + (1 - kept) * new, rtol=1e-5, atol=1e-7
            ),
            after.average,
            before.average,
            after.params,
        )
    kernel = ("global_head", "classifier", "kernel")
    average, params = (tree_at(t, kernel) for t in (final.average, final.params))
    assert np.abs(average - params).max() > 1e-4

    # Validation and whoever loads the run have the average.
    assert len(validated) == 2
    assert_same(validated[1], final.evaluated)
    assert_same(validated[1]["params"], final.average)
    assert_same(RunFolder(workdir).load(mesh, STEPS).variables, final.evaluated)
    best = RunFolder(workdir).load(mesh)
    assert best.step == STEPS // 2
    assert_same(best.variables, validated[0])

    # Resumed from an earlier step, it ends with the same bits and lines.
    again = tmp_path / "again"
    shutil.copytree(workdir, again)
    shutil.rmtree(again / "best")
    for step in range(BEFORE + 1, STEPS + 1):
        shutil.rmtree(again / "checkpoints" / str(step))
    assert_same(small_run.train(config, dataset, again, mesh), final)
    lines = [(folder / "metrics.jsonl").read_text() for folder in (workdir, again)]
    assert losses(lines[0]) == losses(lines[1])

    # Its checkpoints hold no state of training otherwise.
    for change, message in (
        ({"ema": 0.0}, "with an average .train.ema., not with no average .train.ema."),
        (
            {"optimizer": "sgd"},
            "with train.optimizer='adam', not with train.opt.*'sgd'",
        ),
    ):
        changed = config.copy_and_resolve_references()
        changed.train.update(change)
        with pytest.raises(ValueError, match=message):
            small_run.train(changed, dataset, again, mesh)
    config.train.update(ema=0.9, clip_norm=1.0)  # these may change
    assert_same(small_run.train(config, dataset, again, mesh), final)


def tree_at(tree, path):
    for name in path:
        tree = tree[name]
    return np.asarray(tree)


def losses(text):
    return [line.get("loss") for line in map(json.loads, text.splitlines())]


def test_without_an_average_there_is_none_in_memory(small):
    config, dataset, _ = small
    model = make_model(config.model, num_classes(dataset.train))
    optimizer = make_optimizer(config.train, lambda step: 0.0)
    sizes = {}
    for ema in (0.0, EMA):
        config.train.ema = ema
        state = jax.eval_shape(lambda: init_state(config, model, optimizer))
        sizes[ema] = sum(leaf.size for leaf in jax.tree.leaves(state))
        parts = state.parts()
        assert ("params" in parts["training"]) == (ema > 0)
        assert jax.tree.structure(TrainState.of_parts(parts)) == jax.tree.structure(
            state
        )
    params = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    assert sizes[EMA] - sizes[0.0] == params


def test_the_first_steps_count_more():
    """The average forgets the initial weights as fast as training leaves them."""
    average, params = {"w": jnp.zeros(())}, {"w": jnp.ones(())}
    found = [
        float(averaged(average, params, 0.99, step)["w"]) for step in (0, 8, 10**4)
    ]
    assert found == pytest.approx([0.9, 0.5, 0.01], rel=1e-4)
