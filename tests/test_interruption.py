"""Training that signals, bad images or a damaged checkpoint stop, and that resumes."""

import json
import os
import shutil
import signal

import pytest
import small_run
from small_run import assert_same

from mbnet_jax.data import loader as loading
from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.training import validate
from mbnet_jax.training.interruption import InterruptedTraining, Interruption
from mbnet_jax.training.logs import Logs

STEPS = 12


def assert_like(whole, workdir, state):
    """The run ended as `whole` did: state, metrics, and which checkpoint is best."""
    assert_same(whole[1], state)
    lines, best = (
        [(run / "metrics.jsonl").read_text() for run in (workdir, whole[0])],
        [[p.name for p in (run / "best").iterdir()] for run in (workdir, whole[0])],
    )
    assert lines[0] == lines[1]
    assert best[0] == best[1]


def signal_at(monkeypatch, owner, name, call, number):
    """Sends a signal to this process at the start of the `call`-th call."""
    calls, original = [], getattr(owner, name)

    def with_signal(*args, **kwargs):
        calls.append(0)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, with_signal)


@pytest.mark.parametrize(
    ("moment", "call", "number", "code", "stopped"),
    [
        ("step", 6, signal.SIGTERM, 143, 6),  # which is to be evaluated
        ("evaluation", 1, signal.SIGINT, 130, 6),
        ("saving", 1, signal.SIGINT, 130, 5),  # of step 4
    ],
)
def test_after_a_signal_the_step_is_finished_and_the_run_can_be_resumed(
    small, whole, tmp_path, monkeypatch, capfd, moment, call, number, code, stopped
):
    config, dataset, mesh = small
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    functions = {
        "step": (Logs, "add"),
        "evaluation": (validate, "embed_split"),
        "saving": (Checkpoints, "save"),
    }
    with monkeypatch.context() as patch:
        signal_at(patch, *functions[moment], call, number)
        with pytest.raises(InterruptedTraining) as stop:
            small_run.train(config, dataset, tmp_path, mesh)
    assert stop.value.exit_code == code
    assert str(stop.value) == (
        f"stopped at step {stopped} of {STEPS}, saved in {tmp_path}; the same command "
        "resumes from there"
    )
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers
    output = capfd.readouterr()
    assert f"{signal.Signals(number).name}: finishing this step" in output.err
    state = small_run.train(config, dataset, tmp_path, mesh)
    assert f"resuming from step {stopped} in" in capfd.readouterr().out
    assert_like(whole, tmp_path, state)


def test_a_signal_before_the_first_steps_end_acts_as_usual():
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    with Interruption() as interruption:
        assert signal.getsignal(signal.SIGTERM) == before[0]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        # Where Python ignores exceptions, that was lost; but not for good.
        assert interruption.requested()
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before


def test_later_signals_wait_for_the_end_of_a_step():
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    with Interruption() as interruption:
        assert not interruption.requested()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # a scheduler may repeat itself
        assert interruption.requested()
        os.kill(os.getpid(), signal.SIGINT)
        # A second Ctrl-C exits at once.
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_run_resumes_from_before_a_damaged_checkpoint(small, whole, tmp_path, capsys):
    config, dataset, mesh = small
    workdir = tmp_path / "run"
    shutil.copytree(whole[0], workdir)
    for folder in (f"checkpoints/{STEPS}", f"best/{STEPS}"):
        if (workdir / folder).is_dir():
            (workdir / folder / "progress" / "metadata").write_text("")
    state = small_run.train(config, dataset, workdir, mesh)
    output = capsys.readouterr().out
    assert f"checkpoints/{STEPS} is damaged (" in output
    assert f"resuming from step {8} in" in output
    assert_like(whole, workdir, state)


def test_a_run_with_too_many_bad_images_saves_and_stops(small, tmp_path, monkeypatch):
    config, dataset, mesh = small
    config.data.max_bad_images = 2
    decode = loading.decode

    def decode_few(example, *args):
        name = example["name"].decode()
        if "_c1_" in name:  # the half that one camera took
            raise ValueError(f"the image of {name} cannot be decoded")
        return decode(example, *args)

    # Not in validation, which needs every image.
    monkeypatch.setattr(validate, "make_validate", lambda *_: lambda _: {"mAP": 0.0})
    monkeypatch.setattr(loading, "decode", decode_few)
    message = r"than data\.max_bad_images=2 are bad:(\n  the image of .*){3,}\nReplace"
    with pytest.raises(ValueError, match=message):
        small_run.train(config, dataset, tmp_path, mesh)
    (stopped,) = (tmp_path / "checkpoints").iterdir()  # nothing is lost
    assert 0 < int(stopped.name) < STEPS


def test_lines_of_steps_that_will_be_repeated_are_dropped(tmp_path):
    lines = [
        {"step": 1, "loss": 1.0},
        {"step": 2, "loss": 1.0},
        {"step": 2, "validation/mAP": 0.5},
        {"step": 3, "loss": 1.0},
    ]
    text = [json.dumps(line) + "\n" for line in lines]
    for step, evaluated, kept in ((2, 2, 3), (2, 0, 2), (1, 0, 1), (3, 2, 4)):
        (tmp_path / "metrics.jsonl").write_text("".join(text) + '{"step": 4, "lo')
        Logs(
            tmp_path,
            step=step,
            evaluated=evaluated,
            total=4,
            batch_size=1,
            schedule=float,
        ).close()
        assert (tmp_path / "metrics.jsonl").read_text() == "".join(text[:kept])
