"""Steps whose loss or gradient is not finite: skipped, counted, and limited."""

import json
import shutil

import jax
import numpy as np
import pytest
import small_run
import tiny
from small_run import BAD_GRADIENT, BAD_LOSS, BAD_TERM, assert_same

from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.runs.network import make_model
from mbnet_jax.training import loop, step
from mbnet_jax.training.logs import Logs, Streak
from mbnet_jax.training.optimizer import make_optimizer, make_schedule

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
    """What a step changes besides its counts."""
    return jax.device_get((state.params, state.batch_stats, state.opt_state))


@pytest.mark.usefixtures("compiled_in_a_hurry")  # as all runs with that step
def test_a_bad_step_changes_nothing_but_counts(small):
    config, _, mesh = small
    limit = config.train.max_bad_steps
    model = make_model(config.model, num_classes=6)
    optimizer = make_optimizer(config.train, make_schedule(config.train, STEPS))
    train_step = step.compiled(
        loop.make_train_step(
            config, model, optimizer, mesh, loss=small_run.sometimes_bad
        ),
        mesh,
    )
    state = jax.jit(lambda: step.init_state(config, model, optimizer))()
    good, loss, gradient = (2, 3, 4, 5), (0, 1, 4, 5), (0, 2, 4, 5)
    assert {*loss} > BAD_LOSS and {*gradient} > BAD_GRADIENT
    # The step knows no limit: after as many bad steps, a good one is applied.
    batches = [good, loss, gradient, good, *[gradient] * limit, good]
    in_a_row = [0, 1, 2, 0, *range(1, limit + 1), 0]
    for number, persons in enumerate(batches):
        before = applied(state)
        state, scalars = train_step(state, batch_of(persons))
        assert np.isfinite(scalars["loss"]) == (persons != loss)
        assert np.isfinite(scalars[BAD_TERM]) == (persons != loss)
        assert np.isfinite(scalars["gradient_norm"]) == (persons != gradient)
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
    """For each step, the terms that are not finite, and the names of its images."""
    sampler = IdentityBalancedSampler(
        train.pid,
        train.clothes,
        batch_size=config.train.batch_size,
        images_per_identity=config.train.images_per_identity,
        seed=config.seed,
    )
    batches = [sampler.batch(i) for i in range(STEPS)]
    persons = [{*train.pid[batch].tolist()} for batch in batches]
    bad = [
        [BAD_TERM] if p >= BAD_LOSS else ["gradient_norm"] if p >= BAD_GRADIENT else []
        for p in persons
    ]
    return bad, [[train.names[i] for i in batch] for batch in batches]


def lines_of(workdir):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "bad_steps" in line]


def test_a_run_counts_bad_steps_and_resumes_among_them(small, whole, tmp_path):
    config, dataset, mesh = small
    bad, _ = bad_by_step(config, dataset.train)
    lines = lines_of(whole[0])
    assert [line["bad_steps"] for line in lines] == np.cumsum(
        [*map(bool, bad)]
    ).tolist()
    # Every step has a line; a bad one has no averages, and names what was not finite.
    assert ["loss" in line for line in lines] == [not b for b in bad]
    assert ["gradient_norm" in line for line in lines] == [not b for b in bad]
    assert [line.get("not_finite", []) for line in lines] == bad
    assert [BAD_TERM] in bad and ["gradient_norm"] in bad

    workdir = tmp_path / "run"
    config.train.update(epochs=1, steps_per_epoch=10, keep=3)
    assert bad[8] and bad[9] and bad[10]
    small_run.train(config, dataset, workdir, mesh)
    config.train.update(epochs=2, steps_per_epoch=6)
    assert_same(whole[1], small_run.train(config, dataset, workdir, mesh))
    assert lines_of(workdir) == lines

    # The schedule of the learning rate counts only the steps that were applied.
    config.train.schedule = "cosine"
    shutil.rmtree(workdir / "checkpoints" / str(STEPS))
    small_run.train(config, dataset, workdir, mesh)
    rate = make_schedule(config.train, 6)
    expected = float(rate(STEPS - 1 - sum(map(bool, bad))))
    assert lines_of(workdir)[-1]["learning_rate"] == expected > 0


# Checkpoints at every step, or only at step 6, with its validation.
@pytest.mark.parametrize("checkpoint_every", [1, 100])
def test_too_many_bad_steps_in_a_row_end_the_run_with_terms_and_images(
    small, whole, tmp_path, capfd, checkpoint_every
):
    config, dataset, mesh = small
    bad, names = bad_by_step(config, dataset.train)
    # The step, counted from 0, at which the limit is reached.
    reached = next(i for i in range(2, STEPS) if all(bad[i - 2 : i + 1]))
    newest = reached if checkpoint_every == 1 else 6
    # A window has one step, or all since the newest checkpoint.
    window = bad[reached : reached + 1] if checkpoint_every == 1 else bad[newest:]
    terms = sorted({term for terms in window for term in terms})
    config.train.update(
        max_bad_steps=3, log_every=100, checkpoint_every=checkpoint_every
    )
    message = rf"max_bad_steps=3 steps in a row, up to step {reached + 1}, .* images: "
    with pytest.raises(FloatingPointError, match=message) as stop:
        small_run.train(config, dataset, tmp_path, mesh)
    assert ", ".join(names[reached]) in str(stop.value)
    assert f"({', '.join(terms)})" in str(stop.value)
    assert str(stop.value).endswith(f"resumes from its checkpoint of step {newest}")
    output = capfd.readouterr().err
    warnings = [line for line in output.splitlines() if line.startswith("warning: ")]
    assert warnings[-1].endswith(f"not finite: {', '.join(terms)}")
    # No checkpoint is past the limit.
    steps = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir())
    assert steps[-1] == newest
    if checkpoint_every == 1:
        assert steps == [reached - 1, reached]
    config.train.max_bad_steps = 10
    assert_same(whole[1], small_run.train(config, dataset, tmp_path, mesh))


def logged(workdir, steps, ends):
    """Logs steps, given as the terms that are not finite, in windows with these ends.

    Returns the longest streak of each window.
    """
    logs = Logs(
        workdir, step=0, evaluated=0, total=99, batch_size=1, schedule=lambda step: 0.5
    )
    streaks, bad_steps, in_a_row = [], 0, 0
    for number, terms in enumerate(steps, 1):
        bad_steps += bool(terms)
        in_a_row = in_a_row + 1 if terms else 0
        values = {
            name: np.float32(np.nan if name in terms else number)
            for name in ("loss", "identity/mask", "triplet/mask", "gradient_norm")
        }
        counts = {"bad_steps": bad_steps, "bad_in_a_row": in_a_row}
        logs.add(number, values | {k: np.int32(v) for k, v in counts.items()})
        if number in ends:
            logs.end_window(number)
            logs.write()
            streaks.append(logs.streak)
    logs.close()
    return streaks


def test_the_longest_streak_of_a_window_is_found_though_good_steps_follow(
    tmp_path, capfd
):
    one, both = ["loss", "triplet/mask"], ["loss", "identity/mask", "triplet/mask"]
    all_of_it, gradient = ["loss", "gradient_norm"], ["gradient_norm"]
    steps = [one, [], both, one, [], gradient, all_of_it, all_of_it, [], []]
    steps += [["batch_stats"]]  # all scalars are finite
    streaks = logged(tmp_path, steps, ends=(5, 7, 9, 10, 11))
    assert streaks == [
        Streak(2, 4, ("identity/mask", "triplet/mask")),
        Streak(2, 7, ("gradient_norm", "loss")),
        Streak(3, 8, ("loss",)),  # it began in the window before
        Streak(0, 0, ()),
        Streak(1, 11, ("batch_stats",)),
    ]
    lines = lines_of(tmp_path)
    assert [line.get("not_finite") for line in lines] == [
        ["identity/mask", "triplet/mask"],
        ["gradient_norm", "loss"],
        ["loss"],
        None,
        ["batch_stats"],
    ]
    assert [line["bad_steps"] for line in lines] == [3, 5, 6, 6, 7]
    # Averages are over good steps; a window without any has none.
    assert [line.get("loss") for line in lines] == [3.5, None, 9, 10, None]
    norms = [line.get("gradient_norm") for line in lines]
    assert norms == [3.5, None, 9, 10, None]
    warnings = [w for w in capfd.readouterr().err.splitlines() if "warning" in w]
    assert len(warnings) == 4
    assert warnings[0].endswith(
        "warning: up to step 5, 3 steps were skipped; not finite: "
        "identity/mask, triplet/mask"
    )
