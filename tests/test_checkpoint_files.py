"""Checkpoints among other people's files, and attacked: none is lost or mistaken."""

import json
import os
import zlib

import jax
import numpy as np
import pytest
from saved_states import ONE, new_state, on_disk, read, write

from mbnet_jax.runs.checkpoints import Checkpoints


def test_a_checkpoint_is_what_the_check_takes_for_one(tmp_path):
    write(tmp_path, [1, 1, 1])
    with Checkpoints(tmp_path, keep=2):
        pass
    assert on_disk(tmp_path) == {"checkpoints": ["2", "3"], "best": ["1"]}


@pytest.mark.parametrize("folder", ["checkpoints", "best"])
def test_a_file_in_place_of_a_folder_costs_no_checkpoint(tmp_path, folder):
    write(tmp_path, [1, 1])
    (tmp_path / folder).rename(tmp_path / "elsewhere")
    (tmp_path / folder).write_text("mine")
    for create in (False, True):
        with pytest.raises(ValueError, match=f"{folder} must be a folder"):
            read(tmp_path, "resume", create=create)
    (tmp_path / folder).unlink()
    (tmp_path / "elsewhere").rename(tmp_path / folder)
    assert on_disk(tmp_path) == {"checkpoints": ["1", "2"], "best": ["1"]}


@pytest.mark.parametrize("name", ["notes.txt", "7/notes.txt", "2/notes.txt", "1_0/a"])
def test_others_files_survive_or_are_refused_before_anything_is_deleted(tmp_path, name):
    write(tmp_path, [1, 1])
    path = tmp_path / "checkpoints" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    assert read(tmp_path, 2)[0].step == 2  # reading deletes nothing
    if name == "notes.txt":
        write(tmp_path, [1, 1, 1, 4])
        names = ["3", "4", "notes.txt"]
    else:
        with pytest.raises(ValueError, match="did not write"):
            write(tmp_path, [1, 1, 1, 4])
        names = sorted({"1", "2", name.split("/")[0]})
    assert on_disk(tmp_path)["checkpoints"] == names
    assert path.read_text() == "mine"


def test_a_folder_that_orbax_would_delete_is_moved_if_it_has_others_files(tmp_path):
    write(tmp_path, [1, 1])
    half = tmp_path / "checkpoints" / "3.orbax-checkpoint-tmp"
    (half / "weights.orbax-checkpoint-tmp" / "d").mkdir(parents=True)
    (half / "weights.orbax-checkpoint-tmp" / "d" / ("0a" * 16)).touch()
    mine = tmp_path / "checkpoints" / "9.orbax-checkpoint-tmp"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    write(tmp_path, [1, 1, 1])
    assert on_disk(tmp_path)["checkpoints"] == ["2", "3"]
    moved = tmp_path / "set_aside" / "checkpoints_9.orbax-checkpoint-tmp"
    assert (moved / "notes.txt").read_text() == "mine"


def change(folder, update):
    """Changes the JSON of a checkpoint; its checksum is right afterwards."""
    path = folder / "progress" / "metadata"
    content = json.loads(path.read_text())
    del content["checksum"]
    update(content)
    content["checksum"] = zlib.crc32(json.dumps(content, sort_keys=True).encode())
    path.write_text(json.dumps(content))


def replace(folder, name, make):
    path = folder / name
    path.unlink()
    make(path)


DAMAGE = {
    "no progress": lambda f: change(f, lambda c: c.pop("progress")),
    "progress null": lambda f: change(f, lambda c: c.update(progress=None)),
    "a score as text": lambda f: change(
        f, lambda c: c["progress"].update(best_score="x")
    ),
    "a score that is nan": lambda f: change(
        f, lambda c: c["progress"].update(best_score=float("nan"))
    ),
    "a huge step": lambda f: change(f, lambda c: c["progress"].update(best_step=2**40)),
    "no best step": lambda f: change(f, lambda c: c["progress"].pop("best_step")),
    "sums as a list": lambda f: change(f, lambda c: c.update(sums=[1])),
    "a short sum": lambda f: change(f, lambda c: c["sums"].update(weights="ab")),
    "a sum too few": lambda f: change(f, lambda c: c["sums"].pop("weights")),
    "no sums": lambda f: change(f, lambda c: c.pop("sums")),
    "an earlier version's sums": lambda f: change(
        f, lambda c: c.pop("sums") and c.update(checksums={"weights": 1, "training": 2})
    ),
    "another step": lambda f: change(f, lambda c: c.update(step=1)),
    "a list": lambda f: (f / "progress" / "metadata").write_text("[1]"),
    "deep": lambda f: (f / "progress" / "metadata").write_text("[" * 100_000),
    "a pipe": lambda f: replace(f, "progress/metadata", os.mkfifo),
    "a pipe in the weights": lambda f: replace(f, "weights/manifest.ocdbt", os.mkfifo),
    "large": lambda f: os.truncate(f / "progress" / "metadata", 1 << 34),
    "a large list of arrays": lambda f: os.truncate(f / "weights/_METADATA", 1 << 40),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_progress_of_other_types_is_damage(tmp_path, capfd, damage):
    write(tmp_path, [1, 1])
    DAMAGE[damage](tmp_path / "checkpoints" / "2")
    assert read(tmp_path, "resume", create=True)[0].step == 1
    output = capfd.readouterr().out
    assert f"{tmp_path}/checkpoints/2 is damaged (" in output
    assert on_disk(tmp_path)["set_aside"] == ["checkpoints_2"]


@pytest.mark.parametrize("metadata", ["", "{", "[]", "null", "gone"])
def test_orbaxs_own_metadata_may_be_damaged(tmp_path, metadata):
    """Each part has its own, and our checksum."""
    write(tmp_path, [1, 1])
    path = tmp_path / "checkpoints" / "2" / "_CHECKPOINT_METADATA"
    path.unlink()
    if metadata != "gone":
        path.write_text(metadata)
    assert read(tmp_path, "resume", create=True)[0].step == 2


def test_a_renamed_checkpoint_is_not_taken_for_another_step(tmp_path, capfd):
    write(tmp_path, [1, 1])
    (tmp_path / "checkpoints" / "2").rename(tmp_path / "checkpoints" / "9")
    assert read(tmp_path, "resume", create=True)[0].step == 1
    assert "checkpoints/9 is damaged (its state is of step 2)" in capfd.readouterr().out


def test_a_checkpoint_of_another_network_is_no_damaged_one(tmp_path):
    write(tmp_path, [1, 1])
    other = jax.eval_shape(lambda: new_state(size=9)).parts()
    before = on_disk(tmp_path)
    message = (
        r"checkpoints/2 is of another network: \['batch_stats'\]\['mean'\] has the sha"
        r"pe \(30000,\) there, and \(9,\) in .*; restore the config\.json"
    )
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(ValueError, match=message),
    ):
        checkpoints.resume(other, ONE)
    assert on_disk(tmp_path) == before
    more = jax.eval_shape(new_state)
    more = more.replace(params=more.params | {"v": np.zeros(3)}).parts()
    with (
        Checkpoints(tmp_path, create=False) as checkpoints,
        pytest.raises(ValueError, match=r"\['v'\] has the shape none there"),
    ):
        checkpoints.restore(2, more, ONE)
