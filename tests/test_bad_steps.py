"""Steps whose loss or gradient is not finite: not applied, counted, few borne."""

import json
import shutil

import jax
import numpy as np
import pytest
import tiny
from small_run import BAD_GRADIENT, BAD_LOSS, assert_same

from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.training import loop, step
from mbnet_jax.training.optimizer import make_optimizer

STEPS = 12


def batch_of(persons):
    rng = np.random.default_rng(persons)
    return {
        "image": rng.integers(0, 255, (8, tiny.HEIGHT, tiny.WIDTH, 3), np.uint8),
        "parsing": np.stack([tiny.person()] * 8),
        "pid": np.repeat(np.array(persons, np.int32), 2),
        **{k: np.zeros(8, np.int32) for k in ("camera", "clothes", "index")},
    }


def applied(state):
    """What a step changes beside its counts."""
    return jax.device_get((state.params, state.batch_stats, state.opt_state))


def test_a_bad_step_changes_nothing_but_counts(small):
    config, _, mesh = small
    limit = config.train.max_bad_steps
    model = step.make_model(config.model, num_classes=6)
    optimizer = make_optimizer(config.train, STEPS)
    train_step = loop.make_train_step(config, model, optimizer, mesh)
    state = jax.jit(
        lambda: step.init_state(config, model, optimizer),
        compiler_options={"xla_backend_optimization_level": "0"},
    )()
    good, loss, gradient = (2, 3, 4, 5), (0, 1, 4, 5), (0, 2, 4, 5)
    assert {*loss} > BAD_LOSS and {*gradient} > BAD_GRADIENT
    # Behind as many bad ones as the limit, the last is good in vain.
    batches = [good, loss, gradient, good, *[gradient] * limit, good]
    in_a_row = [0, 1, 2, 0, *range(1, limit + 2)]
    for number, persons in enumerate(batches):
        before = applied(state)
        state, scalars = train_step(state, batch_of(persons))
        assert np.isfinite(scalars["loss"]) == (persons != loss)
        assert int(state.step) == number + 1
        assert int(state.bad_in_a_row) == scalars["bad_in_a_row"] == in_a_row[number]
        bad_steps = np.count_nonzero(in_a_row[: number + 1])
        assert int(state.bad_steps) == scalars["bad_steps"] == bad_steps
        same = jax.tree.map(np.array_equal, before, applied(state))
        if in_a_row[number]:
            assert all(jax.tree.leaves(same))
        else:
            params, batch_stats, _ = map(jax.tree.leaves, same)
            assert np.mean(params) < 0.1  # a bias without a gradient yet may stay
            assert not any(batch_stats)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(applied(state)))


def bad_by_step(config, train):
    """Which steps are bad, and the names of each step's images."""
    sampler = IdentityBalancedSampler(
        train.pid,
        train.clothes,
        batch_size=config.train.batch_size,
        images_per_identity=config.train.images_per_identity,
        seed=config.seed,
    )
    batches = [sampler.batch(i) for i in range(STEPS)]
    persons = [{*train.pid[batch].tolist()} for batch in batches]
    bad = [p >= BAD_LOSS or p >= BAD_GRADIENT for p in persons]
    return bad, [[train.names[i] for i in batch] for batch in batches]


def lines_of(workdir):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "bad_steps" in line]


def test_a_run_counts_bad_steps_and_resumes_among_them(small, whole, tmp_path):
    config, dataset, mesh = small
    bad, _ = bad_by_step(config, dataset.train)
    lines = lines_of(whole[0])
    assert [line["bad_steps"] for line in lines] == np.cumsum(bad).tolist()
    # Every step has its line; a bad one has no averages.
    assert ["loss" in line for line in lines] == [not b for b in bad]

    workdir = tmp_path / "run"
    config.train.update(epochs=1, steps_per_epoch=10, keep=3)
    assert bad[8] and bad[9] and bad[10]
    loop.train(config, dataset, workdir, mesh)
    config.train.update(epochs=2, steps_per_epoch=6)
    assert_same(whole[1], loop.train(config, dataset, workdir, mesh))
    assert lines_of(workdir) == lines

    # The learning rate's schedule goes by the steps that were applied.
    config.train.schedule = "cosine"
    shutil.rmtree(workdir / "checkpoints" / str(STEPS))
    loop.train(config, dataset, workdir, mesh)
    rate = loop.make_schedule(config.train, 6)
    expected = float(rate(STEPS - 1 - sum(bad)))
    assert lines_of(workdir)[-1]["learning_rate"] == expected > 0


def test_too_many_bad_steps_in_a_row_end_the_run_with_the_images_names(
    small, whole, tmp_path
):
    config, dataset, mesh = small
    bad, names = bad_by_step(config, dataset.train)
    met = next(i for i in range(2, STEPS) if all(bad[i - 2 : i + 1]))
    config.train.update(max_bad_steps=3, log_every=100, checkpoint_every=1)
    message = rf"max_bad_steps=3 steps in a row, up to step {met + 1};.* images: "
    with pytest.raises(FloatingPointError, match=message) as stop:
        loop.train(config, dataset, tmp_path, mesh)
    assert ", ".join(names[met]) in str(stop.value)
    assert str(stop.value).endswith(f"goes on from its checkpoint of step {met}")
    steps = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir())
    assert steps == [met - 1, met]
    config.train.max_bad_steps = 10
    assert_same(whole[1], loop.train(config, dataset, tmp_path, mesh))
