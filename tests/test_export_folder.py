"""The folder of an export: complete or as it was, its card, and bad input."""

import json
import re
import sys
from pathlib import Path

import jax
import pytest
from export_run import save_run

from mbnet_jax.commands import export as command
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.export import card, write
from mbnet_jax.export.folder import whole_folder
from mbnet_jax.export.programs import make_programs
from mbnet_jax.runs import exported
from mbnet_jax.runs.load import load

pytestmark = pytest.mark.usefixtures("one_block")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"))


def test_the_card_shows_results_of_its_own_checkpoint_only(tmp_path):
    entry = {
        "name": "general",
        "query": "query",
        "gallery": "gallery",
        "rule": "general",
        "cameras": [],
        "draws": 0,
        "paper": {"rank1": 0.446, "mAP": 0.227},
        "queries": 3,
    }
    metrics = {
        "step": 30,
        "results": {"general": {"all": {"rank1": 0.25, "mAP": 0.125}}},
        "protocols": {"general": entry},
    }
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(metrics))
    table = card.results_table(path, step=30)
    assert re.search(r"all +\| +25\.0 +12\.5", table)
    assert re.search(r"paper's +\| +44\.6 +22\.7", table)
    assert card.results_table(path, step=29) == ""
    assert card.results_table(tmp_path / "none.json", step=30) == ""


def test_one_branch_is_one_program_and_an_earlier_export_is_replaced(
    whole, tmp_path, capsys
):
    workdir, _ = whole
    out = tmp_path / "exported" / "global"
    for _ in range(2):
        command.main(["--model", str(workdir), "--out", str(out), "--no-onnx"])
    names = {"README.md", "config.json", "embed.stablehlo", "model.safetensors"}
    assert {path.name for path in out.iterdir()} == names
    assert [path.name for path in out.parent.iterdir()] == ["global"]
    assert "embed.stablehlo  differs from the network by" in capsys.readouterr().out
    described = json.loads((out / "config.json").read_text())["programs"]
    assert list(described) == ["embed"]
    assert list(described["embed"]["inputs"]) == ["image"]


def test_branches_are_kept_in_the_export(run, tmp_path):
    # The parts are tested elsewhere; here is what they are called with.
    mesh = make_mesh(jax.devices()[:1])
    network = load(str(run), mesh)
    chosen = write.exported_branches(("mask", "global"), network)
    assert chosen == ("global", "mask")
    assert write.exported_branches((), network) == network.config.eval.branches == ()
    program, alone = make_programs(network, chosen)
    assert (program.branches, program.width) == (("global", "mask"), 256 + 16)
    assert (alone.name, alone.branches) == ("embed_global", ("global",))
    exported.write_config(network, tmp_path, branches=chosen)
    exported.write_weights(network.variables, tmp_path)
    assert load(tmp_path, mesh).config.eval.branches == ("global", "mask")
    assert network.config.eval.branches == ()


def test_an_error_leaves_the_earlier_export(whole, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.json").write_text(json.dumps({"kind": exported.KIND}))

    def full(*_):
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr(exported, "write_weights", full)
    with pytest.raises(SystemExit, match=r"error: .*No space left"):
        command.main(["--model", str(whole[0]), "--out", str(out), "--no-onnx"])
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "config.json"]


def test_a_failed_replacement_restores_the_earlier_folder(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").touch()
    rename = Path.rename

    def refusing(self, target):
        if self.suffix == ".part":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(PermissionError), whole_folder(out) as folder:
        (folder / "README.md").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model={none}"], "holds no trained network"),
        (["--checkpoint=9"], r"no checkpoint 9 in .*there are steps \[7\]"),
        (["--checkpoint=last"], "--checkpoint='last' must be 'best' or a step"),
        (
            ["--branches=global,legs"],
            r"--branches=\('global', 'legs'\) .*'legs'; it has",
        ),
        (["--platforms=cpu,gpu"], "--platforms='cpu,gpu': name some of cpu, cuda"),
        (["--out={file}/x"], "file cannot be written to .*give another --out"),
        (["--out={file}"], "file exists and is not an export, .*give another --out"),
        (["--out={run}"], "exists and is not an export"),
    ],
)
def test_bad_input_ends_in_one_line(run, tmp_path, arguments, message):
    (tmp_path / "file").touch()
    names = {"none": tmp_path / "none", "file": tmp_path / "file", "run": run}
    given = [argument.format(**names) for argument in arguments]
    with pytest.raises(SystemExit) as error:
        command.main(
            ["--model", str(run), "--out", str(tmp_path / "out"), "--no-onnx", *given]
        )
    text = str(error.value)
    assert re.match(f"error: .*{message}", text), text
    assert "\n" not in text
    assert not (tmp_path / "out").exists()


def test_a_missing_converter_names_the_command(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(SystemExit, match=r"jax2onnx.*-r requirements-export\.txt"):
        command.main(["--model", str(run), "--out", str(tmp_path / "out")])
