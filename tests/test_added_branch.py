"""A branch that is added to a projection: `mbnet-combine --add`."""

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
from mbnet_jax.training.added_branch import added, with_branch_added

pytestmark = pytest.mark.usefixtures("one_block")
ROWS = np.array([2, 3])


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_inner_products_are_the_sum_of_two(weight):
    """Exactly where the width suffices: 2 directions of the branch, 3 before."""
    rng = np.random.default_rng(0)
    kernel = np.zeros((6, 5), np.float32)
    kernel[:, :3] = rng.normal(size=(6, 3))
    rows = rng.normal(size=(9, 6))
    before, of_branch = rows @ kernel, rows[:, ROWS]
    scale = weight * (kernel.astype(float) ** 2).sum() / 2
    found = rows @ added(kernel, ROWS, weight)
    expected = before @ before.T + scale * of_branch @ of_branch.T
    np.testing.assert_allclose(found @ found.T, expected, rtol=1e-4, atol=1e-4)


def test_of_a_lower_rank_the_largest_directions_are_kept():
    kernel = np.diag([3.0, 2.0, 1.0])[:, :2].astype(np.float32)
    found = added(kernel, np.array([2]), 0.5)  # 0.5 * (9 + 4) is more than 4
    np.testing.assert_allclose(found @ found.T, np.diag([9, 0, 6.5]), atol=1e-5)


def network(**model):
    config = untrained.whole_network("data")
    with config.unlocked():
        config.model.update(model)
    return untrained.untrained(config, make_mesh(jax.devices()[:1]))


@pytest.mark.parametrize(
    ("model", "branch", "message"),
    [
        ({}, "mask", "--add=mask needs a network whose branches are combined by a pro"),
        (
            {"projection": 4},
            "face",
            "--add=face is none of the network's branches: glo",
        ),
    ],
)
def test_what_cannot_be_added_is_refused(model, branch, message):
    with pytest.raises(ValueError, match=message):
        with_branch_added(network(**model), branch)


def test_a_width_is_refused_beside_a_branch():
    given = ["--config=synthetic", "--model=x", "--out=y", "--add=mask", "--width=0"]
    with pytest.raises(
        SystemExit, match="--width=0 has no use with --add, which keeps"
    ):
        combine.main(given)


def test_the_command_adds_a_branch_to_the_projection(small_data, tmp_path, capsys):
    root, dataset = small_data
    config = untrained.whole_network(root)
    config.model.projection = 8
    run, out = tmp_path / "run", tmp_path / "out"
    small_run.save_untrained(config, dataset, run)
    given = tiny.command("combine", config, run)[2:]
    given = [flag for flag in given if not flag.startswith("--workdir")]
    combine.main([*given, f"--model={run}", f"--out={out}", "--add=mask"])
    printed = capsys.readouterr().out
    titles = [f"+ {weight} mask" for weight in (0.25, 0.5, 1.0, 2.0)]
    [chosen] = [title for title in titles if f"chosen: {title}, whose" in printed]
    assert all(f"\n{title} " in printed for title in titles)
    assert "projection, " not in printed

    mesh = small_run.one_device()
    before, after = load(run, mesh), load(out, mesh)
    was, now = (
        np.asarray(each.variables["params"]["linear_projection"]["linear"]["kernel"])
        for each in (before, after)
    )
    image = np.zeros((1, tiny.HEIGHT, tiny.WIDTH, 3), np.uint8)
    embed = make_embed(before.config, before.model, mesh, flip=False)
    rows = embed(before.variables, image, tiny.person(8)[None])
    start = rows["global"].shape[1] + rows["clothing_unrelated"].shape[1]
    branch = np.arange(start, start + rows["mask"].shape[1])
    weight = float(chosen.split()[1])
    np.testing.assert_array_equal(now, added(was, branch, weight))
