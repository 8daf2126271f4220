"""Generating in another order, or by several workers, makes the same bytes."""

import importlib
import itertools

import pytest
from folders import contents

from mbnet_jax.synthetic import SyntheticOptions, generate
from mbnet_jax.synthetic.render import render

OPTIONS = SyntheticOptions(
    train_identities=1, test_identities=1, outfits=2, cameras=2, train_images=2, seed=5
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic") / "made"
    return contents(generate(root, OPTIONS, workers=1, progress=False))


def test_workers_do_not_change_a_byte(made, tmp_path):
    root = generate(tmp_path / "two", OPTIONS, workers=2, progress=False)
    assert contents(root) == made


@pytest.mark.parametrize(("kept", "changes"), [(1, 1), (2, 7)])
def test_of_many_cameras_each_is_made_once(made, tmp_path, monkeypatch, kept, changes):
    """As long as a worker keeps all of them, each outfit is put on once instead."""
    cameras = []

    def recorded(options, pid, outfit, camera, number):
        cameras.append(camera)
        return render(options, pid, outfit, camera, number)

    module = importlib.import_module("mbnet_jax.synthetic.generate")
    monkeypatch.setattr(module, "render", recorded)
    monkeypatch.setattr(module, "CAMERAS_KEPT", kept)
    root = generate(tmp_path / "ordered", OPTIONS, workers=1, progress=False)
    assert sum(a != b for a, b in itertools.pairwise(cameras)) == changes
    assert contents(root) == made
