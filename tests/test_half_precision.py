"""Exports of weights alone, and weights in half precision."""

import json
import shutil

import jax
import numpy as np
import pytest
from export_run import save_run

from mbnet_jax import Embedder
from mbnet_jax.commands import export as export_command
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.export import check
from mbnet_jax.export.programs import make_programs
from mbnet_jax.runs import exported
from mbnet_jax.runs.calibration_file import Calibration, write_calibrations
from mbnet_jax.runs.load import SHIPPED, load
from mbnet_jax.runs.network import without_classifiers
from mbnet_jax.runs.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_block")

# Most that an entry of an embedding, whose length is 1, may change by the rounding,
# which changes a weight by 1/2048 of itself at most. 2.2e-4 was seen.
ROUNDING = 1e-3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def one_device():
    return make_mesh(jax.devices()[:1])


def test_half_precision_rounds_all_files(
    run, one_device, tmp_path, capsys, compiled_in_a_hurry
):
    out = tmp_path / "half"
    flags = ["--half", "--no-onnx", "--platforms=cpu", "--branches=global"]
    export_command.main(["--model", str(run), "--out", str(out), *flags])
    assert "embed.stablehlo  differs from the network by" in capsys.readouterr().out
    assert "rounded to float16 and stored so" in (out / "README.md").read_text()

    whole = without_classifiers(load(run, one_device))
    half = load(out, one_device)
    for before, after in zip(
        *map(jax.tree.leaves, (whole.variables, half.variables)), strict=True
    ):
        assert after.dtype == np.float32
        expected = np.asarray(before).astype(np.float16)
        np.testing.assert_array_equal(after, expected)

    assert half.config.eval.branches == ("global",)
    (program,) = make_programs(half, half.config.eval.branches)
    images = check.examples(program, 3)["image"]
    rounded = Embedder(half, one_device)
    rows = rounded.embed(images, branches=["global"])
    original = Embedder(whole, one_device)
    change = np.abs(rows - original.embed(images, branches=["global"])).max()
    # The program holds the rounded network, not the original.
    error = check.largest_difference(program, out / "embed.stablehlo", rows, "float32")
    assert 10 * error < change < ROUNDING
    assert rounded.digest(("global",)) != original.digest(("global",))


def test_weights_alone(run, tmp_path):
    out = tmp_path / "weights"
    flags = ["--no-stablehlo", "--no-onnx", "--half"]
    export_command.main(["--model", str(run), "--out", str(out), *flags])
    names = {"README.md", "config.json", "model.safetensors"}
    assert {path.name for path in out.iterdir()} == names
    assert json.loads((out / "config.json").read_text())["programs"] == {}
    with pytest.raises(SystemExit, match="error: --platforms is empty"):
        export_command.main(["--model", str(run), "--out", str(out), "--platforms="])


def test_calibrations_go_with_the_weights(run, tmp_path, one_device):
    step = RunFolder(run).step_of("best")
    one = Calibration(
        *("people", 5, 40, "general", ("global",), True, "none", 100, 900),
        *(8.0, -4.0, 1e-2, 0.75),
    )
    write_calibrations(tmp_path, step, [one])
    flags = ["--no-stablehlo", "--no-onnx", "--model", str(run)]
    given = ["--results", str(tmp_path)]
    first, second = (str(tmp_path / name) for name in ("first", "second"))
    export_command.main([*flags, *given, "--out", first])
    # And from an export to the next.
    export_command.main([*flags[:2], "--model", first, "--out", second])
    assert Embedder.load(second, mesh=one_device).calibrations == [one]
    card = (tmp_path / "second" / "README.md").read_text()
    assert "sigmoid(8.000 cosine -4.000) | 0.7500 |" in card
    write_calibrations(tmp_path, step + 1, [one])
    with pytest.raises(
        SystemExit, match=f"no evaluation of the checkpoint of step {step}"
    ):
        export_command.main([*flags, *given, "--out", str(tmp_path / "third")])


@pytest.mark.parametrize("value", [65520, -1e9, np.inf, np.nan])
def test_values_beyond_half_precision_are_refused(value, tmp_path):
    variables = {"params": {"a": np.ones(2, np.float32)}, "batch_stats": {}}
    variables["batch_stats"]["bn"] = {"var": np.float32([1, 65504])}  # the most
    exported.write_weights(variables, tmp_path, half=True)
    (tmp_path / exported.WEIGHTS).unlink()

    variables["batch_stats"]["bn"]["var"][0] = value
    named = "half precision cannot hold batch_stats/bn/var: .* beyond 65504"
    with pytest.raises(ValueError, match=named):
        exported.rounded(variables)
    with pytest.raises(ValueError, match=named):
        exported.write_weights(variables, tmp_path, half=True)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"dtype": "float32"},
            r"of another shape or type: .* float16\[\d+\], not float32\[\d+\]",
        ),
        ({"version": 2}, "by an earlier version of mbnet_jax and has to be exported"),
        ({"version": 4}, "version 4 of the format, this program reads version 3"),
    ],
)
def test_the_version_and_the_dtype_of_the_weights_are_checked(
    change, message, one_device, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(SHIPPED, folder)
    content = json.loads((folder / "config.json").read_text())
    assert (content["version"], content["dtype"]) == (3, "float16")
    (folder / "config.json").write_text(json.dumps(content | change))
    with pytest.raises(ValueError, match=message):
        load(folder, one_device)
