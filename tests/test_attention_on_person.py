"""The measurement of where the modules' maps lie."""

import numpy as np
import pytest
import small_run
import tiny
from in_process import called

from benchmarks import attention_on_person as benchmark


def test_a_map_on_the_area_alone():
    rng = np.random.default_rng(0)
    area = (rng.random((50, 6, 4)) < 0.25).astype(float)
    found = benchmark.measure(0.8 * area, area)
    assert found["on"] == pytest.approx(0.8) and found["off"] == 0
    assert found["share"] == pytest.approx(1)
    assert found["area"] == pytest.approx(area.mean())
    assert abs(found["column"]) < 0.1 and abs(found["row"]) < 0.1
    assert found["same"] < 0.1


def test_a_constant_map_has_the_share_of_the_area():
    area = np.random.default_rng(1).random((3, 4, 2))
    found = benchmark.measure(np.full(area.shape, 0.5), area)
    assert found["share"] == pytest.approx(found["area"])
    assert found["on"] == pytest.approx(found["off"]) == pytest.approx(0.5)
    assert np.isnan(found["column"]) and np.isnan(found["same"])


def test_a_map_of_positions_is_the_same_in_every_image():
    area = np.zeros((3, 4, 5))
    area[:, 2:] = 0.5  # cells half on the area
    maps = np.broadcast_to(np.arange(5.0), area.shape)
    found = benchmark.measure(maps, area)
    assert found["column"] == pytest.approx(1) and found["row"] == pytest.approx(0)
    assert found["same"] == pytest.approx(1)
    assert found["share"] == pytest.approx(0.25) == pytest.approx(found["area"])
    rows = benchmark.measure(-np.swapaxes(maps, 1, 2), np.swapaxes(area, 1, 2))
    assert rows["row"] == pytest.approx(-1)


@pytest.fixture
def run(small_data, tmp_path, compiled_in_a_hurry):
    """An untrained run whose FAM works on an earlier map."""
    root, dataset = small_data
    config = tiny.tiny_config(root)
    config.model.update(fam_stage=2, fam_spatial="pointwise")
    config.model.branches = ("global", "clothing_unrelated")
    config.seed = 24  # as the dataset's
    small_run.save_untrained(config, dataset, tmp_path)
    return tmp_path


def test_a_run_has_a_row_for_each_module(run):
    found = dict(benchmark.measure_run(run, 5))
    assert found.keys() == {"ktm", "fam"}
    for values in found.values():
        assert values.keys() == {*benchmark.COLUMNS}
        assert 0 < values["on"] < 1 and 0 < values["off"] < 1
        assert abs(values["share"] - values["area"]) < 0.2
    with pytest.raises(ValueError, match="--images=0 must be at least 1"):
        dict(benchmark.measure_run(run, 0))


def test_bad_input_ends_in_one_line(tmp_path, monkeypatch):
    message = called(monkeypatch, benchmark, tmp_path / "none")
    assert message.startswith("error: ") and "\n" not in message
