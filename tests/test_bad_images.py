"""Unreadable images in training: reported, replaced, counted."""

from os.path import basename

import jax
import numpy as np
import pytest
import tiny
from ml_collections import ConfigDict

from mbnet_jax.data.bad_images import BadImages
from mbnet_jax.data.builder import prepare
from mbnet_jax.data.datasets import read_records
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.data.splits import make_split
from mbnet_jax.devices.mesh import make_mesh

STEPS = 12


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A training split whose prepared copy has lost two images of one person."""
    root = tiny.write_folder(tmp_path_factory.mktemp("raw"))
    records = read_records("synthetic", root)
    prepared = tmp_path_factory.mktemp("prepared")
    prepare(records, root, prepared)
    (file,) = prepared.rglob("*train.array_record*")
    data = bytearray(file.read_bytes())
    for offset in (5_000, 20_000):
        data[offset] ^= 0x55
    file.write_bytes(data)
    source = prepare(records, root, prepared)["train"]
    split = make_split(records["train"], source, root)
    bad = {index for index in range(len(split)) if not readable(split, index)}
    assert len(bad) == 2
    return split, bad


def readable(split, index):
    try:
        return bool(split.example(index))
    except RuntimeError:
        return False


def sampler_of(split):
    return IdentityBalancedSampler(
        split.pid, split.clothes, batch_size=8, images_per_identity=2, seed=0
    )


def loader(devices=1, **changes):
    data = {"height": 64, "width": 32, "threads": 3, "prefetch": 2, "root": "there"}
    data |= {"name": "synthetic", "parsing_labels": "canonical", "max_bad_images": 2}
    return Loader(ConfigDict(data | changes), make_mesh(jax.devices()[:devices]))


def test_another_image_of_the_same_person_replaces_it(damaged, capsys):
    split, bad = damaged
    sampler, used = sampler_of(split), loader()
    replaced = 0
    for step, batch in enumerate(used.train(split, sampler, range(STEPS))):
        drawn, found = sampler.batch(step), np.asarray(batch["index"])
        for row in range(8):
            if drawn[row] in bad:
                replaced += 1
                assert found[row] not in bad
                first = next(i for i in sampler.substitutes(step, row) if i not in bad)
                assert found[row] == first
            else:
                assert found[row] == drawn[row]
        np.testing.assert_array_equal(split.pid[drawn], batch["pid"])
        for name in ("pid", "camera", "clothes"):
            np.testing.assert_array_equal(getattr(split, name)[found], batch[name])
        names = [basename(split.names[i]) for i in found]
        assert [int(name[:4]) for name in names] == batch["pid"].tolist()
    assert replaced > len(bad)
    # Each is reported once, however often it was met.
    output = capsys.readouterr().err
    for index in bad:
        assert output.count(f"warning: the prepared copy of {split.names[index]}") == 1
    assert output.count("delete there/prepared/synthetic to prepare it") == len(bad)
    assert not used.bad_images.too_many
    used.bad_images.check()


def test_replacements_do_not_depend_on_devices_threads_or_a_restart(damaged):
    split, _ = damaged
    sampler = sampler_of(split)
    whole = list(loader().train(split, sampler, range(STEPS)))
    other = loader(8, threads=1, prefetch=1)
    for expected, batch in zip(
        whole[5:], other.train(split, sampler, range(5, STEPS)), strict=True
    ):
        for name in expected:
            np.testing.assert_array_equal(expected[name], batch[name])


def test_substitutes_are_the_persons_other_images_in_an_order_of_their_own():
    pid = np.repeat([3, 5, 8], 8)
    clothes = np.repeat(np.arange(6), 4)
    sampler = IdentityBalancedSampler(
        pid, clothes, batch_size=6, images_per_identity=2, seed=4
    )
    orders = set()
    for step in range(3):
        for row, image in enumerate(sampler.batch(step)):
            found = sampler.substitutes(step, row)
            others = {*np.flatnonzero(pid == pid[image])} - {image}
            assert sorted(found) == sorted(others)
            np.testing.assert_array_equal(found, sampler.substitutes(step, row))
            orders.add((pid[image], *found))
    assert len(orders) == 18


def test_a_person_without_a_good_image_ends_the_run(damaged):
    split, bad = damaged
    (person, *_) = split.pid[[*bad]]
    few = split.subset(
        np.flatnonzero((split.pid != person) | np.isin(np.arange(32), [*bad]))
    )
    message = (
        r"no image of one person can be read; the last: the prepared copy of train/"
    )
    with pytest.raises(ValueError, match=message):
        list(loader().train(few, sampler_of(few), range(STEPS)))


def test_evaluation_needs_every_image(damaged):
    split, bad = damaged
    with pytest.raises(
        ValueError, match=rf"copy of {split.names[min(bad)]} cannot be read"
    ):
        list(loader().evaluate(split, 8))


def test_another_image_at_its_position_is_refused(damaged):
    split, _ = damaged
    moved = split.subset(np.arange(len(split)))
    positions = np.roll(moved.positions, 1)
    object.__setattr__(moved, "positions", positions)
    with pytest.raises(ValueError, match=r"found .* instead\); delete there/prepared"):
        list(loader().evaluate(moved, 8))


def test_too_many_bad_images_are_listed_once(capsys):
    found = BadImages(limit=1)
    for name in ("b.jpg", "a.jpg", "b.jpg"):
        found.add(name, ValueError(f"{name} is torn"))
    assert found.too_many
    message = (
        r"images than data\.max_bad_images=1 are bad:\n  b\.jpg is torn\n  a\.jpg "
    )
    with pytest.raises(ValueError, match=message):
        found.check()
    assert capsys.readouterr().err.count("warning") == 1  # the error lists the rest
