"""The comparison of the learned balance with fixed branch weights."""

import numpy as np
import pytest
import small_run
import tiny
from in_process import called

from benchmarks import balance


def test_fixed_weights_have_mean_one_and_include_single_branches():
    weights = balance.fixed_weights(3, 0.5)
    assert len(weights) == len({*weights}) == 28
    assert {sum(chosen) for chosen in weights} == {3}
    assert {(3, 0, 0), (0, 3, 0), (0, 0, 3), (1, 1, 1), (0.5, 1, 1.5)} <= {*weights}


@pytest.mark.parametrize("step", [0.3, 0.0, -1.0, 2.0])
def test_a_step_that_does_not_divide_one_is_rejected(step):
    with pytest.raises(ValueError, match=r"must divide 1, such as 0\.5"):
        balance.fixed_weights(2, step)


def test_cosines_of_a_combination_are_weighted_by_squared_weights():
    rng = np.random.default_rng(0)
    branches = {}
    for name in ("global", "mask"):
        rows = rng.normal(size=(4, 5))
        branches[name] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    combined = balance.combinations(branches, [(0.5, 1.5), (0, 2)])
    assert list(combined) == ["0.5 : 1.5", "mask alone"]
    cosines = {name: rows @ rows.T for name, rows in (branches | combined).items()}
    expected = (0.25 * cosines["global"] + 2.25 * cosines["mask"]) / 2.5
    np.testing.assert_allclose(cosines["0.5 : 1.5"], expected, atol=1e-6)
    np.testing.assert_allclose(cosines["mask alone"], cosines["mask"], atol=1e-6)


def test_the_table_shows_means_best_clothes_changing_map_first():
    first = {"learned": [0.5, 0.5, 0.2], "1 : 1": [0.1, 0.9, 0.3]}
    second = {"learned": [0.7, 0.5, 0.4], "1 : 1": [0.3, 0.7, 0.2]}
    assert balance.markdown([first, second]).splitlines()[2:] == [
        "| weights | general | same-clothes | clothes-changing |",
        "| --- | --- | --- | --- |",
        "| learned | 60.0 | 50.0 | 30.0 |",
        "| 1 : 1 | 20.0 | 80.0 | 25.0 |",
    ]
    with pytest.raises(ValueError, match="different branches"):
        balance.markdown([first, {"learned": [0, 0, 0]}])


@pytest.fixture
def balanced(small_data, tmp_path, monkeypatch, compiled_in_a_hurry):
    """An untrained run of two branches with a balance."""
    root, dataset = small_data
    tiny.know_one_block(monkeypatch)
    config = tiny.tiny_config(root)
    config.model.branches = ("global", "mask")
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    config.seed = 24  # as the dataset's
    small_run.save_untrained(config, dataset, tmp_path)
    return tmp_path


def test_an_untrained_balance_weights_branches_equally(balanced):
    table = balance.evaluate_run(balanced, 1.0)
    assert list(table) == [balance.LEARNED, "mask alone", "1 : 1", "global alone"]
    # Not exactly equal: the balance weights an image and its mirrored image before
    # they are added.
    assert table[balance.LEARNED] == pytest.approx(table["1 : 1"], abs=0.01)
    assert all(0 < value <= 1 for values in table.values() for value in values)


def test_a_run_without_balance_is_rejected(whole):
    with pytest.raises(ValueError, match="has no balance; train several"):
        balance.evaluate_run(whole[0], 1.0)


def test_a_run_with_a_projection_is_rejected(small_data, tmp_path):
    root, dataset = small_data
    config = tiny.tiny_config(root)
    config.model.projection = 6
    small_run.save_untrained(config, dataset, tmp_path)
    with pytest.raises(ValueError, match=r"model\.projection=6 takes its place; train"):
        balance.evaluate_run(tmp_path, 1.0)


def test_bad_input_ends_in_one_line(tmp_path, monkeypatch):
    message = called(monkeypatch, balance, tmp_path / "none")
    assert message.startswith("error: ") and "\n" not in message
    assert "none" in message
