"""Checkpoints on disk: asynchronous, atomic, damaged, in parts, on a full disk."""

import functools
import json
import resource
import shutil
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from saved_states import (
    assert_equal,
    changed,
    new_state,
    on_disk,
    progress,
    read,
    read_weights,
    write,
)

from mbnet_jax.devices import placement
from mbnet_jax.devices.mesh import make_mesh, replicated
from mbnet_jax.runs import checkpoints as checkpoints_module
from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints
from mbnet_jax.training.state import TrainState


def packed_with_crc(step, parts, progress):
    """What an earlier version wrote in place of `packed`'s sums."""
    checksums = {}
    for name, tree in parts.items():
        checksums[name] = 0
        for leaf in map(np.asarray, jax.tree.leaves(tree)):
            checksums[name] = zlib.crc32(leaf.tobytes(), checksums[name])
    content = {"progress": progress, "step": step, "checksums": checksums}
    content["checksum"] = zlib.crc32(json.dumps(content, sort_keys=True).encode())
    return ocp.args.Composite(
        **{name: ocp.args.StandardSave(tree) for name, tree in parts.items()},
        progress=ocp.args.JsonSave(content),
    )


@pytest.mark.parametrize("devices", [1, 8])
def test_a_checkpoint_is_what_was_saved_though_later_steps_reused_its_memory(
    tmp_path, devices
):
    mesh = make_mesh(jax.devices()[:devices])
    step = jax.jit(changed, donate_argnums=0, out_shardings=replicated(mesh))
    state = step(new_state(mesh, size=2_000_000))
    expected = jax.tree.map(lambda x: np.array(x, copy=True), state)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state.parts(), progress(1))
        for _ in range(10):
            state = step(state)
        jax.block_until_ready(state)
    assert not np.array_equal(state.params["w"], expected.params["w"])
    abstract = jax.eval_shape(lambda: state).parts()
    with Checkpoints(tmp_path, create=False) as checkpoints:
        for which in (1, "best"):
            parts = checkpoints.restore(which, abstract, mesh).parts
            assert_equal(expected, TrainState.of_parts(parts))
            assert parts["weights"]["params"]["w"].sharding == replicated(mesh)


def test_the_last_n_and_the_best_are_kept(tmp_path):
    made = write(tmp_path, [0, 2, 2, 2, 2])
    assert on_disk(tmp_path) == {"checkpoints": ["4", "5"], "best": ["2"]}
    for which, step in ((4, 4), (5, 5), ("best", 2)):
        found, saved = read(tmp_path, which)
        assert_equal(made[step], found)
        assert saved == progress(2)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint 3 .*\[2, 4, 5\], best"):
        read(tmp_path, 3)


def test_a_best_that_a_kill_prevented_is_saved_on_resuming(tmp_path):
    made = write(tmp_path, [0, 2])
    (tmp_path / "best" / "2").rename(tmp_path / "gone")
    state, saved = read(tmp_path, "resume", create=True)
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(2, state.parts(), saved)
    assert_equal(made[2], read(tmp_path, "best")[0])


def data_file(folder, part="weights"):
    """The largest file of a part: the arrays' data."""
    files = folder.glob(f"{part}/ocdbt.process_0/d/*")
    return max(files, key=lambda path: path.stat().st_size)


def cut_off(folder, part="weights"):
    path = data_file(folder, part)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_a_byte(folder, part="weights"):
    path = data_file(folder, part)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def change_progress(folder):
    path = folder / "progress" / "metadata"
    content = json.loads(path.read_text())
    content["progress"]["best_score"] = 0.6
    path.write_text(json.dumps(content))


def exchange_checksums(folder):
    """Gives each part the other's checksum; the content's own checksum is right."""
    path = folder / "progress" / "metadata"
    content = json.loads(path.read_text())
    sums = content["sums"]
    sums["weights"], sums["training"] = sums["training"], sums["weights"]
    del content["checksum"]
    content["checksum"] = zlib.crc32(json.dumps(content, sort_keys=True).encode())
    path.write_text(json.dumps(content))


# Of one part of a checkpoint.
PART_DAMAGE = {
    "cut off": cut_off,
    "a byte changed": change_a_byte,
    "no data": lambda folder, part: data_file(folder, part).unlink(),
    "no manifest": lambda folder, part: (folder / part / "manifest.ocdbt").unlink(),
    "missing": lambda folder, part: shutil.rmtree(folder / part),
}
DAMAGE = {
    "another progress": change_progress,
    "exchanged checksums": exchange_checksums,
    "empty progress": lambda f: (f / "progress" / "metadata").write_text(""),
} | {
    f"{part}: {name}": functools.partial(damage, part=part)
    for part in ("weights", "training")
    for name, damage in PART_DAMAGE.items()
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_if_the_newest_is_damaged_the_one_before_is_used_and_reported(
    tmp_path, capfd, damage
):
    made = write(tmp_path, [1, 1])
    DAMAGE[damage](tmp_path / "checkpoints" / "2")
    state, saved = read(tmp_path, "resume", create=True)
    assert_equal(made[1], state)
    assert saved == progress(1)
    output = capfd.readouterr()
    assert f"{tmp_path}/checkpoints/2 is damaged (" in output.out
    assert f"; moved to {tmp_path}/set_aside/checkpoints_2\n" in output.out
    assert output.out.count("\n") == 1 and "Traceback" not in output.err
    assert on_disk(tmp_path)["set_aside"] == ["checkpoints_2"]
    # The step is repeated, and saved again.
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(2, made[2].parts(), progress(1))
    assert_equal(made[2], read(tmp_path, "resume")[0])


@pytest.mark.parametrize("damaged", [False, True])
def test_an_earlier_versions_checkpoint_is_read_and_verified(
    tmp_path, monkeypatch, capfd, damaged
):
    monkeypatch.setattr(checkpoints_module, "packed", packed_with_crc)
    made = write(tmp_path, [1, 1])
    if damaged:
        change_a_byte(tmp_path / "checkpoints" / "2", "training")
    state, saved = read(tmp_path, "resume", create=True)
    assert_equal(made[1 if damaged else 2], state)
    assert saved == progress(1)
    assert ("checkpoints/2 is damaged (its" in capfd.readouterr().out) == damaged
    # Onto several devices too, each with its share.
    abstract, mesh = jax.eval_shape(new_state).parts(), make_mesh(jax.devices()[:2])
    monkeypatch.setattr(placement, "SMALLEST", 2**10)
    with Checkpoints(tmp_path, create=False) as checkpoints:
        parts = checkpoints.resume(abstract, mesh, split=True).parts
    assert_equal(state.parts(), parts)
    shards = parts["weights"]["params"]["w"].addressable_shards
    assert [shard.data.shape for shard in shards] == [(15_000,)] * 2


@pytest.mark.parametrize("damage", PART_DAMAGE)
def test_weights_are_read_though_the_rest_is_damaged(tmp_path, capfd, damage):
    made = write(tmp_path, [0, 2, 2])
    for folder in ("best/2", "checkpoints/2", "checkpoints/3"):
        PART_DAMAGE[damage](tmp_path / folder, "training")
    assert_equal(made[2].variables, read_weights(tmp_path, "best"))
    assert_equal(made[3].variables, read_weights(tmp_path, 3))
    assert not capfd.readouterr().out  # no warning
    with pytest.raises(ValueError, match="can be read:\n  best/2 is damaged"):
        read(tmp_path, "best")


def test_resuming_uses_the_best_if_no_newer_checkpoint_is_readable(tmp_path):
    made = write(tmp_path, [0, 2, 2, 2])
    for step in "34":
        cut_off(tmp_path / "checkpoints" / step)
    assert_equal(made[2], read(tmp_path, "resume", create=True)[0])
    aside = ["checkpoints_3", "checkpoints_4"]
    assert on_disk(tmp_path) == {
        "checkpoints": [],
        "best": ["2"],
        "set_aside": aside,
    }


def test_a_best_past_the_step_resumed_from_is_set_aside_and_forgotten(tmp_path, capfd):
    made = write(tmp_path, [1, 2])  # the best of step 1 is deleted by now
    for folder in ("checkpoints", "best"):
        cut_off(tmp_path / folder / "2")
    state, saved = read(tmp_path, "resume", create=True)
    assert_equal(made[1], state)
    assert saved == progress(1)  # its best will be saved from this state
    assert on_disk(tmp_path)["set_aside"] == ["best_2", "checkpoints_2"]

    made = write(tmp_path / "later", [1, 1, 3])
    cut_off(tmp_path / "later" / "checkpoints" / "3")
    cut_off(tmp_path / "later" / "best" / "3")
    state, saved = read(tmp_path / "later", "resume", create=True)
    assert_equal(made[2], state)
    assert saved == NO_BEST


def test_if_the_best_is_damaged_another_is_evaluated_and_reported(tmp_path, capfd):
    made = write(tmp_path, [0, 2, 2])
    cut_off(tmp_path / "best" / "2")
    assert_equal(made[2], read(tmp_path, "best")[0])
    output = capfd.readouterr().out
    assert f"{tmp_path}/best/2 is damaged (" in output
    assert output.endswith("; using checkpoints/2\n")
    cut_off(tmp_path / "checkpoints" / "2")
    assert_equal(made[3], read(tmp_path, "best")[0])
    assert capfd.readouterr().out.endswith("; using checkpoints/3\n")
    # A step that is named is read, or nothing.
    with pytest.raises(ValueError, match=r"be read:\n  checkpoints/2 is damaged \("):
        read(tmp_path, 2)
    assert "set_aside" not in on_disk(tmp_path)


def test_if_all_are_damaged_nothing_is_touched(tmp_path):
    write(tmp_path, [1, 1])
    before = on_disk(tmp_path)
    for folder in ("checkpoints/1", "checkpoints/2", "best/1"):
        cut_off(tmp_path / folder)
    with pytest.raises(ValueError, match="can be read:\n  checkpoints/2 is damaged"):
        read(tmp_path, "resume", create=True)
    assert on_disk(tmp_path) == before


def test_on_a_full_disk_the_complete_checkpoint_stays(tmp_path):
    made = write(tmp_path, [1], keep=1)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    message = rf"not be written in {tmp_path}/checkpoints \(.*File too large.*make room"
    try:
        with (
            pytest.raises(OSError, match=message),
            Checkpoints(tmp_path) as checkpoints,
        ):
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
            seventh = made[0].replace(step=jnp.int32(7))
            checkpoints.save(7, seventh.parts(), progress(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert_equal(made[1], read(tmp_path, "resume")[0])
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        eighth = made[0].replace(step=jnp.int32(8))
        checkpoints.save(8, eighth.parts(), progress(1))
    assert on_disk(tmp_path) == {"checkpoints": ["8"], "best": ["1"]}
