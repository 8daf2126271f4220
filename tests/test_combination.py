"""A projection that is fitted to finished branches, and chosen on people held out."""

import json

import jax
import numpy as np
import pytest
import small_run
import tiny
import untrained

from mbnet_jax.commands import combine
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.runs.load import load
from mbnet_jax.training import combination
from mbnet_jax.training.combination import (
    directions,
    fit,
    least_gain,
    with_projection,
)

pytestmark = pytest.mark.usefixtures("one_block")
PERSONS, IMAGES = 24, 8


def people(seed):
    """Embeddings [n, 12] of persons: 6 numbers of the person, 6 of the outfit."""
    rng = np.random.default_rng(seed)
    pid = np.repeat(np.arange(PERSONS), IMAGES)
    clothes = np.arange(len(pid)) // 2  # each worn in two images
    person, outfit = rng.normal(size=(PERSONS, 6)), rng.normal(size=(len(pid), 6))
    rows = np.concatenate([person[pid], 1.5 * outfit[clothes]], axis=1)
    rows += 0.1 * rng.normal(size=rows.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), pid, clothes


def nearest_is_right(rows, pid, clothes):
    """How often the nearest image in another outfit is of the person."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T
    cosines[clothes[:, None] == clothes[None]] = -2
    return (pid[cosines.argmax(1)] == pid).mean()


def test_what_changes_with_clothes_is_suppressed():
    rows, pid, clothes = people(0)
    batches = combination._batches(pid, clothes, seed=0)
    kernel = fit(rows, pid, batches, np.eye(12, dtype=np.float32), 0.1)
    of_person, of_clothes = np.linalg.norm(kernel[:6]), np.linalg.norm(kernel[6:])
    assert of_clothes < 0.8 * of_person
    others, pid, clothes = people(1)  # never seen
    before = nearest_is_right(others, pid, clothes)
    after = nearest_is_right(others @ kernel, pid, clothes)
    assert before < 0.4 and after > 1.5 * before


def test_directions_keep_inner_products():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 9))
    found = directions(rows.astype(np.float32), 3)
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(
        (rows @ found) @ (rows @ found).T, rows @ rows.T, rtol=1e-4, atol=1e-4
    )


def test_the_least_gain_by_hand():
    others = [
        {"general": 0.5, "clothes_changing": 0.3},
        {"general": 0.6, "clothes_changing": 0.2},
    ]
    gain = least_gain({"general": 0.9, "clothes_changing": 0.25}, others)
    np.testing.assert_allclose(gain, -0.05)
    gain = least_gain({"general": 0.63, "clothes_changing": 0.34}, others)
    np.testing.assert_allclose(gain, 0.03)


@pytest.mark.parametrize("before", [{}, {"projection": 5}])
def test_the_projection_takes_the_place_of_balance_or_projection(before):
    config = untrained.whole_network("data")
    config.model.update(before)
    mesh = make_mesh(jax.devices()[:1])
    network = untrained.untrained(config, mesh)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2, tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)
    maps = np.stack([tiny.person(8), tiny.person(12)])

    def embedded(network):
        embed = make_embed(network.config, network.model, mesh, flip=False)
        return embed(network.variables, image, maps)

    rows = embedded(network)
    names = [name for name in rows if name != "all"]
    side_by_side = np.concatenate([rows[n] for n in network.model.branches], axis=1)
    kernel = rng.normal(size=(side_by_side.shape[1], 7)).astype(np.float32)
    changed = with_projection(network, kernel)
    found = embedded(changed)
    expected = side_by_side @ kernel
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found["all"], expected, atol=1e-4)
    for name in names:
        np.testing.assert_allclose(found[name], rows[name], atol=1e-5)
    assert changed.config.model.projection == 7 and network.config.model == config.model


@pytest.fixture(scope="module")
def run(small_data, tmp_path_factory):
    """A run of the whole network with its initial weights."""
    root, dataset = small_data
    config = untrained.whole_network(root)
    workdir = tmp_path_factory.mktemp("whole") / "run"
    small_run.save_untrained(config, dataset, workdir)
    return config, workdir


def arguments(config, workdir, out, *more):
    made = tiny.command("combine", config, workdir)[2:]
    flags = [f for f in made if not f.startswith("--workdir")]
    return [*flags, f"--model={workdir}", f"--out={out}", *more]


def test_the_command_exports_the_network_that_it_chose(
    run, tmp_path, monkeypatch, capsys
):
    config, workdir = run
    monkeypatch.setattr(combination, "_STEPS", 60)
    out = tmp_path / "combined"
    combine.main(arguments(config, workdir, out, "--width=4"))
    printed = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(printed) if line.startswith("mAP of peop"))
    head, lines = printed[start].split(), printed[start + 1 :]
    assert head[-3:] == ["general", "same_clothes", "clothes_changing"]
    titles = ["global", "clothing_unrelated", "mask", "equal", "as"]
    assert [line.split()[0] for line in lines[:5]] == titles
    scores = np.array([line.split()[-3:] for line in lines[:10]], float)
    gains = (scores[5:] - scores[:4].max(0)).min(1)  # of each temperature
    temperature = lines[5 + gains.argmax()].split()[1]
    assert lines[10].startswith(f"chosen: projection, {temperature}, whose least")
    assert lines[10].endswith(f"{gains.max():+.1f}")
    best = json.loads((out / "config.json").read_text())
    assert best["config"]["model"]["projection"] == 4
    mesh = small_run.one_device()
    network = load(out, mesh)
    before = load(workdir, mesh)
    kernel = network.variables["params"]["linear_projection"]["linear"]["kernel"]
    assert kernel.shape[1] == 4 and "balance_weights" not in network.variables["params"]
    np.testing.assert_array_equal(
        network.variables["params"]["mask_head"]["bnneck"]["scale"],
        before.variables["params"]["mask_head"]["bnneck"]["scale"],
    )


def test_an_impossible_width_is_refused(run, tmp_path):
    config, workdir = run
    with pytest.raises(SystemExit, match="--width=999 is impossible"):
        combine.main(arguments(config, workdir, tmp_path / "out", "--width=999"))
    assert not (tmp_path / "out").exists()


def test_somebody_must_be_held_out(small_data, tmp_path):
    root, dataset = small_data
    config = untrained.whole_network(root)
    config.data.validation = "none"
    small_run.save_untrained(config, dataset, tmp_path / "run")
    given = arguments(config, tmp_path / "run", tmp_path / "out")
    with pytest.raises(SystemExit, match="people held out choose the projection, and"):
        combine.main(given)


def test_one_branch_is_refused(small_data, tmp_path):
    root, dataset = small_data
    config = small_run.small_config(root)
    small_run.save_untrained(config, dataset, tmp_path / "run")
    given = arguments(config, tmp_path / "run", tmp_path / "out")
    with pytest.raises(SystemExit, match="one branch, global: there is nothing to com"):
        combine.main(given)
