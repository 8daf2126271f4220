"""The folder of an export: complete or as it was, its card, and bad input."""

import hashlib
import json
import re
import sys
from pathlib import Path

import jax
import pytest
from export_run import run_config, save_run

from mbnet_jax.commands import export as command
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.export import card, programs, results, write
from mbnet_jax.export.folder import check_out, resolved, whole_folder
from mbnet_jax.export.programs import make_programs
from mbnet_jax.runs import exported
from mbnet_jax.runs.load import load

pytestmark = pytest.mark.usefixtures("one_block")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"))


def metrics(mean, step=30, paper=None, **more):
    """Of `metrics.json`."""
    entry = {
        "name": "general",
        "query": "query",
        "gallery": "gallery",
        "rule": "general",
        "cameras": [],
        "draws": 0,
        "paper": paper,
        "queries": 3,
    }
    return {
        "step": step,
        "results": {"general": {"all": {"rank1": 0.25, "mAP": mean}}},
        "protocols": {"general": entry},
        **more,
    }


def test_the_card_shows_results_of_its_own_checkpoint_only(tmp_path):
    config = run_config(tmp_path)
    config.name = "a|b`c"
    folder = tmp_path / "eval"
    assert results.results_of(tmp_path, config, 30) == []
    for name, content in {
        ".": metrics(0.125, paper={"rank1": 0.446, "mAP": 0.227}),
        "predicted-maps": metrics(0.25, dataset=config.name, maps="predicted"),
        "other": metrics(0.5, dataset="other"),
        "other-predicted-maps": metrics(0.75, dataset="other", maps="predicted"),
        "earlier": metrics(1.0, 29, dataset="earlier"),
    }.items():
        (folder / name).mkdir(exist_ok=True, parents=True)
        (folder / name / "metrics.json").write_text(json.dumps(content))
    tables = results.results_of(tmp_path, config, 30)
    predicted = ", with parsing maps that the network predicts:"
    assert [table.heading for table in tables] == [
        "On the test split of `a|b'c`:",
        f"On the test split of `a|b'c`{predicted}",
        "On `other`, which it was not trained on:",
        f"On `other`, which it was not trained on{predicted}",
    ]
    for table, mean in zip(tables, (12.5, 25.0, 50.0, 75.0), strict=True):
        assert re.search(rf"all +\| +25\.0 +{mean}", table.text)
    assert re.search(r"paper's +\| +44\.6 +22\.7", tables[0].text)
    assert len(results.results_of(tmp_path, config, 29)) == 1


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


def test_weights_that_no_program_holds_are_written_alone(run, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match=r"hold 2 GB at most; name fewer --branches"):
        write.export_network(str(run), tmp_path / "out", onnx=False)
    assert not (tmp_path / "out").exists()
    assert write.export_network(str(run), tmp_path / "out", (), "best", (), False) == {}


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
        (["--model={none}"], "no such folder: .*none; give the folder of a run"),
        (["--checkpoint=9"], r"no checkpoint 9 in .*there are steps \[7\]"),
        (["--checkpoint=last"], "--checkpoint='last' must be 'best' or a step"),
        (
            ["--branches=global,legs"],
            r"--branches=\('global', 'legs'\) .*'legs'; it has",
        ),
        (["--checkpoint=²"], "--checkpoint='²' must be 'best' or a step"),
        (["--branches="], "--branches is empty; give some"),
        (["--branches=global,global"], "--branches=global,global: name each branch o"),
        (["--platforms=cpu,cpu"], "--platforms='cpu,cpu': name some of .*, each once"),
        (["--license=a\nb"], "--license='a.nb' must be a licence"),
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


def write_export(folder, **files):
    """A folder that looks like an export, of these files."""
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for name, text in files.items():
        path = folder / name.replace("_", ".")
        path.write_text(text)
        digests[path.name] = hashlib.sha256(text.encode()).hexdigest()
    content = {"kind": exported.KIND, "files": digests}
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def replace(out):
    check_out(out)
    with whole_folder(out) as folder:
        write_export(folder, README_md="new")


def texts(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "config.json"
    }


def test_an_export_replaces_its_own_files(tmp_path):
    out = write_export(tmp_path / "out", README_md="old", embed_onnx="old")
    replace(out)
    assert texts(tmp_path) == {"out/README.md": "new"}


@pytest.mark.parametrize("name", ["notes.txt", ".git/HEAD", "README.md", "embed.onnx"])
def test_what_the_export_did_not_write_is_named_and_kept(tmp_path, name):
    out = write_export(tmp_path / "out", README_md="old")
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    before = texts(tmp_path)
    with pytest.raises(ValueError, match=rf"{out} holds files .*: {name!r}; move them"):
        replace(out)
    assert texts(tmp_path) == before


def test_an_export_without_a_list_has_the_usual_files(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    content = {"kind": exported.KIND, "programs": {"embed": {}, "../x": {}}}
    (out / "config.json").write_text(json.dumps(content))
    for name in ("README.md", "model.safetensors", "embed.onnx"):
        (out / name).write_text("old")
    (tmp_path / "x.onnx").write_text("mine")
    replace(out)
    assert texts(tmp_path) == {"out/README.md": "new", "x.onnx": "mine"}


def test_a_killed_export_loses_nothing(tmp_path, capsys):
    out, old, part = (tmp_path / name for name in ("out", "out.old", "out.part"))
    write_export(old, README_md="old")  # killed between the renames
    part.mkdir()
    (part / "model.safetensors.123.part").write_text("half")
    with pytest.raises(KeyboardInterrupt), whole_folder(out):
        raise KeyboardInterrupt
    assert texts(tmp_path) == {"out/README.md": "old"}
    assert f"put back {out}, which a killed export" in capsys.readouterr().out
    write_export(old, README_md="older")  # killed before the last deletion
    replace(out)
    assert texts(tmp_path) == {"out/README.md": "new"}
    for folder in (part, old):
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        with pytest.raises(ValueError, match=rf"{folder} .*; move it away, or give"):
            replace(out)
        assert texts(folder) == {"notes.txt": "mine"}
        (folder / "notes.txt").unlink()


def test_two_exports_to_one_folder_do_not_meet(tmp_path):
    with (
        whole_folder(tmp_path / "out"),
        pytest.raises(BlockingIOError, match=r"out\.part is in use by process"),
    ):
        replace(tmp_path / "out")


def test_a_link_is_followed_and_the_current_folder_refused(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert resolved(tmp_path / "link") == tmp_path / "real"
    monkeypatch.chdir(tmp_path)
    for out in (".", "", "..", "/", str(tmp_path)):
        with pytest.raises(ValueError, match="is the current folder, or holds it"):
            resolved(Path(out))
    with pytest.raises(ValueError, match="is not a file name"):
        resolved(Path("a\0b"))


@pytest.mark.parametrize(
    "name", ["a\nb", "no", "<b>", "x" * 99, "mit: y", "#", "\u00e4", "'"]
)
def test_a_licence_cannot_change_the_card(name):
    with pytest.raises(ValueError, match=r"--license=.* must be a licence as the Hugg"):
        card.check_license(name)
    for known in ("", "apache-2.0", "openrail++", "mit"):
        card.check_license(known)


def test_names_in_the_card_cannot_leave_their_cell():
    assert card._code("a`|<b>") == r"`a'\|<b>`"
