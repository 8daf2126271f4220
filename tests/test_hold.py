"""A run's folder: held by one training, and refused where it has somebody's files."""

import os
import shutil

import pytest

from mbnet_jax.locks import LOCK, locked
from mbnet_jax.runs.hold import check_workdir, held
from mbnet_jax.runs.run_folder import RunFolder


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }


def text(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")


@pytest.fixture
def run(small, tmp_path):
    """The folder of a run, with two folders that this program could have written."""
    config, dataset, _ = small
    RunFolder.create(tmp_path / "run", config, dataset)
    for name in ("checkpoints", "best"):
        (tmp_path / "run" / name / "4" / "weights" / "d").mkdir(parents=True)
        (tmp_path / "run" / name / "4" / "weights" / "d" / ("0a" * 16)).touch()
    return tmp_path / "run"


@pytest.mark.parametrize(
    "name", ["checkpoints", "best", "set_aside", "events", "eval", "metrics.jsonl"]
)
def test_what_is_of_another_kind_is_named_and_nothing_is_touched(run, name):
    path = run / name
    shutil.rmtree(path, ignore_errors=True)
    if name == "metrics.jsonl":
        path.mkdir()
    else:
        path.write_text("mine")
    before = content(run)
    with pytest.raises(ValueError, match=rf"{path} must be a f.*; move it away"):
        check_workdir(run)
    assert content(run) == before


def test_a_named_pipe_is_named_and_not_opened(run):
    os.mkfifo(run / "metrics.jsonl")
    with pytest.raises(ValueError, match=r"metrics\.jsonl must be a file"):
        check_workdir(run)


FOREIGN = {
    "checkpoints/7/notes.txt": "7/notes.txt",
    "best/7": "7",
    "checkpoints/4/notes.txt": "4/notes.txt",
    "checkpoints/4/weights/notes.txt": "4/weights/notes.txt",
    "checkpoints/0123/a": "0123",
    "checkpoints/-1/a": "-1",
    "checkpoints/1_0/a": "1_0",
    "checkpoints/²/a": "²",
    f"checkpoints/{10**30}/a": str(10**30),
    f"checkpoints/{2**31}/a": str(2**31),
}


@pytest.mark.parametrize("path", FOREIGN)
def test_where_old_checkpoints_are_deleted_others_files_are_refused(run, path):
    text(run / path)
    before = content(run)
    with pytest.raises(ValueError, match="what this program did not write") as error:
        check_workdir(run)
    assert f"{run / path.split('/')[0]} holds" in str(error.value)
    assert f": {FOREIGN[path]!r}; move it out" in str(error.value)
    assert content(run) == before


def test_a_link_in_place_of_a_checkpoint_is_refused(run):
    (run / "checkpoints" / "8").symlink_to(run / "checkpoints" / "4")
    with pytest.raises(ValueError, match=r"write, .*: '8'; move it out"):
        check_workdir(run)


def test_other_files_in_a_runs_folder_are_left_alone(run):
    for name in ("notes.txt", "checkpoints/notes.txt", "checkpoints/mine/a"):
        text(run / name)
    before = content(run)
    with held(run):
        pass
    assert {**content(run), LOCK: b""} == {**before, LOCK: b""}


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "parameters.txt", "eval/report.html", "events/a"]
)
def test_without_a_config_nothing_is_taken_for_a_runs(tmp_path, name):
    text(tmp_path / name)
    text(tmp_path / "notes.txt")
    message = rf"{tmp_path} holds {name.split('/')[0]}/? but no config\.json, .*restore"
    with pytest.raises(ValueError, match=message), held(tmp_path):
        pass
    assert {*content(tmp_path)} - {"eval", "events"} == {name, "notes.txt"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"kind": "mbnet_jax export"}', "is an exported network, not .*give another"),
        ('{"architectures": []}', r"config\.json was not written by mbnet_jax"),
        ("{", r"config\.json is damaged \(.*restore a copy, or give another"),
    ],
)
def test_somebodys_config_is_not_replaced(tmp_path, config, message):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ValueError, match=message), held(tmp_path):
        pass
    assert content(tmp_path) == {"config.json": config.encode()}


def test_a_second_training_is_refused_at_once_and_told_by_whom(tmp_path):
    with held(tmp_path):
        message = rf"{tmp_path} is in use by process {os.getpid()} on .*give another"
        with pytest.raises(BlockingIOError, match=message), held(tmp_path):
            pass
    (tmp_path / LOCK).write_text("process 1 on a machine since 2020: killed")
    with held(tmp_path), locked(tmp_path / "eval", wait=False):
        pass  # whoever died does not hold it
