"""Exported networks: each form gives the network's embeddings, whole and alone."""

import json
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_run
import tiny
from jax import export as jax_export

from mbnet_jax.data.loader import load_example
from mbnet_jax.evaluation.embed import make_embed
from mbnet_jax.export import __main__ as command
from mbnet_jax.export import card, check, stored, write
from mbnet_jax.export.folder import whole_folder
from mbnet_jax.export.programs import make_programs
from mbnet_jax.sharding import make_mesh
from mbnet_jax.trained import load, load_trained
from mbnet_jax.training.checkpoints import Checkpoints
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.run_config import load_saved
from mbnet_jax.training.step import init_state, make_model

pytest.importorskip("jax2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

CUMSUM = jnp.cumsum  # which jax2onnx replaces
STEP, CLASSES, CLOTHES = 7, 5, 9
FILES = ("embed.stablehlo", "embed.onnx", "embed_global.stablehlo", "embed_global.onnx")


def run_config(root: Path):
    """Every module on; layers that have a form of their own on a CPU are there."""
    c = tiny.tiny_config(root)
    c.model.backbone = c.model.mask_backbone = tiny.ONE_BLOCK
    c.model.width = 128  # Winograd's form
    c.model.mask_stem = "imagenet"  # with the max pool
    c.loss.cal = 1.0  # with a clothes classifier
    return c


@pytest.fixture(scope="module", autouse=True)
def one_block():
    with pytest.MonkeyPatch.context() as patch:
        tiny.know_one_block(patch)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run: a network whose every variable matters."""
    workdir = tmp_path_factory.mktemp("run")
    c = run_config(workdir / "data")
    optimizer = make_optimizer(c.train, steps_per_epoch=1)
    model = make_model(c.model, CLASSES, CLOTHES)
    rng = np.random.default_rng(0)

    def drawn(path, leaf):
        if "'var'" in jax.tree_util.keystr(path):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(leaf.dtype)
        fan = np.prod(leaf.shape[:-1]) or 1
        values = rng.standard_normal(leaf.shape) / np.sqrt(fan)
        return values.astype(leaf.dtype)

    abstract = jax.eval_shape(lambda: init_state(c, model, optimizer))
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract)
    state = state.replace(
        step=np.int32(STEP),
        params=jax.tree.map_with_path(drawn, abstract.params),
        batch_stats=jax.tree.map_with_path(drawn, abstract.batch_stats),
    )
    content = {"config": c.to_dict(), "num_classes": CLASSES, "num_clothes": CLOTHES}
    (workdir / "config.json").write_text(json.dumps(content))
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(jax.device_put(state), {"best_step": STEP, "best_score": 0.5})
    return workdir


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """The export of that run: its folder."""
    out = tmp_path_factory.mktemp("exported") / "network"
    command.main(["--model", str(run), "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def people(small_data):
    """Real-looking images and maps: three of the synthetic dataset, one of nobody."""
    root, dataset = small_data
    data = small_run.small_config(root).data
    rows = [load_example(dataset.test["query"], i, data) for i in range(3)]
    image = np.stack([row["image"] for row in rows] + [rows[0]["image"]])
    parsing = np.stack(
        [row["parsing"] for row in rows] + [np.zeros_like(rows[0]["parsing"])]
    )
    assert {*np.unique(parsing[0])} > {0, 1, 2}
    return {"image": image, "parsing": parsing}


@pytest.fixture(scope="module")
def expected(run, people):
    """What the network makes of them, by the programs' names."""
    trained = load_trained(run, make_mesh(jax.devices()[:1]))
    embed = make_embed(trained.config, trained.model, make_mesh(jax.devices()[:1]))
    rows = embed(trained.variables, people["image"], people["parsing"])
    rows = jax.device_get(rows)
    # Otherwise "agrees" says little.
    assert np.abs(rows["all"][3] - rows["all"][0]).max() > 1e-2
    return {"embed": rows["all"], "embed_global": rows["global"]}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 4)], ids=["one", "three"])
def test_a_program_gives_the_networks_embeddings(
    exported, people, expected, file, rows
):
    path = exported / file
    names = ["image"] if path.stem == "embed_global" else ["image", "parsing"]
    given = {name: people[name][rows] for name in names}
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path)
        assert [i.name for i in session.get_inputs()] == names
        assert [i.type for i in session.get_inputs()] == ["tensor(uint8)"] * len(names)
        (found,) = session.run(None, given)
    else:
        program = jax_export.deserialize(bytearray(path.read_bytes()))
        assert set(program.platforms) == {"cpu", "cuda", "tpu"}
        found = np.asarray(jax.jit(program.call)(*given.values()))
    wanted = expected[path.stem][rows]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_the_round_trip_is_exact(run, exported):
    mesh = make_mesh()
    before, after = load_trained(run, mesh), load(exported, mesh)
    small_run.assert_same(before.variables, after.variables)
    assert (after.step, after.model) == (STEP, before.model)
    for section in ("model", "views", "eval"):
        assert after.config[section] == before.config[section]
    # Paths of the machine that trained stay there.
    assert after.config.data.root == "" != before.config.data.root
    leaves = jax.tree.leaves(after.variables)
    assert all(leaf.sharding.mesh == mesh for leaf in leaves)


def test_a_run_and_an_export_load_alike(run, exported):
    mesh = make_mesh(jax.devices()[:1])
    small_run.assert_same(load(run, mesh).variables, load(exported, mesh).variables)
    with pytest.raises(FileNotFoundError, match=r"no config\.json.*hub id"):
        load(exported.parent, mesh)


def fake_hub(monkeypatch, download):
    hub = types.ModuleType("huggingface_hub")
    hub.hf_hub_download = download
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)


def test_a_hub_id_is_downloaded(exported, monkeypatch, tmp_path):
    asked = []

    def download(repository, file):
        asked.append((repository, file))
        shutil.copy(exported / file, tmp_path / file)
        return str(tmp_path / file)

    fake_hub(monkeypatch, download)
    trained = load("somebody/network", make_mesh())
    assert trained.step == STEP
    assert asked == [
        ("somebody/network", "config.json"),
        ("somebody/network", "model.safetensors"),
    ]


def test_what_the_hub_cannot_give_is_said(monkeypatch, tmp_path):
    def offline(repository, file):
        raise OSError("No network.\nDetails.")

    fake_hub(monkeypatch, offline)
    message = r"no folder runs/prcx, and cannot .*No network\. .* path of a folder"
    with pytest.raises(ValueError, match=message):
        load("runs/prcx", make_mesh())

    (tmp_path / "config.json").write_text('{"architectures": []}')
    fake_hub(monkeypatch, lambda repository, file: str(tmp_path / file))
    with pytest.raises(ValueError, match=r"timm/x on the .* hub is no export"):
        load("timm/x", make_mesh())


def test_weights_that_do_not_fit_are_refused(exported, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(exported, folder)
    content = json.loads((folder / "config.json").read_text())
    content["config"]["model"]["branches"] = ["global"]
    content["config"]["model"]["width"] = 64
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError) as error:
        load(folder, make_mesh())
    assert "not in the network: batch_stats/clothing_unrelated_backbone" in str(
        error.value
    )
    assert (
        "of another shape or type: batch_stats/global_backbone/bn1/mean float32[128], "
        "not float32[64]" in str(error.value)
    )
    content["version"] = 99
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="version 99 of the format"):
        load(folder, make_mesh())


def test_jax_alone_runs_it(exported, people, expected, tmp_path):
    np.save(tmp_path / "image.npy", people["image"])
    code = (
        "import sys, jax.export, numpy as np\n"
        f"data = bytearray(open({str(exported / FILES[2])!r}, 'rb').read())\n"
        "rows = jax.export.deserialize(data).call(np.load('image.npy'))\n"
        "np.save('rows.npy', np.asarray(rows))\n"
        "print(*{'flax', 'mbnet_jax', 'safetensors'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
    found = np.load(tmp_path / "rows.npy")
    np.testing.assert_allclose(found, expected["embed_global"], rtol=0, atol=1e-4)


def test_the_card_says_what_there_is_and_its_code_runs(exported, monkeypatch):
    text = (exported / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: mbnet_jax\n")
    assert "`image` [b, 64, 32, 3], `parsing` [b, 64, 32]" in text
    assert "there was no test of this checkpoint" in text
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    monkeypatch.chdir(exported)
    for block in blocks[1:]:  # the first needs photographs
        names = {}
        exec(block, names)
        assert names["rows"].shape == (2, 128 * 2 + 128 * 2 + 8 * 2)


def test_the_card_shows_the_test_of_its_checkpoint_only(tmp_path):
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
    table = card.tested(path, step=30)
    assert re.search(r"all +\| +25\.0 +12\.5", table)
    assert re.search(r"paper's +\| +44\.6 +22\.7", table)
    assert card.tested(path, step=29) == ""
    assert card.tested(tmp_path / "none.json", step=30) == ""


def test_the_converter_leaves_jax_as_it_was(exported):
    assert jnp.cumsum is CUMSUM


def test_a_wrong_program_is_found(run, exported, expected):
    trained = load_trained(run, make_mesh(jax.devices()[:1]))
    program = make_programs(trained)[1]
    wanted = check.references(trained, [program], 2)[program.name]
    path = exported / FILES[3]
    assert check.largest_difference(program, path, wanted, "float32") < 1e-5
    wrong = wanted + np.float32([[0], [2e-4]])
    with pytest.raises(ValueError, match=r"embed_global\.onnx gives other .* 2\.0e-04"):
        check.largest_difference(program, path, wrong, "float32")


def test_one_branch_is_one_program_and_an_export_is_replaced(whole, tmp_path, capsys):
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
    # The parts are tested elsewhere; here is what is asked of them.
    trained = load(str(run), make_mesh(jax.devices()[:1]))
    chosen = write.with_branches(trained, ("mask", "global"))
    assert chosen.config.eval.branches == ("global", "mask")
    assert trained.config.eval.branches == ()
    program, alone = make_programs(chosen)
    assert (program.branches, program.width) == (("global", "mask"), 256 + 16)
    assert (alone.name, alone.branches) == ("embed_global", ("global",))
    stored.write_config(chosen.config, tmp_path, num_classes=CLASSES)
    assert load_saved(tmp_path).eval.branches == ("global", "mask")


def test_an_error_leaves_what_was_there(whole, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.json").write_text(json.dumps({"kind": stored.KIND}))

    def full(*_):
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr(stored, "write_weights", full)
    with pytest.raises(SystemExit, match=r"error: .*No space left"):
        command.main(["--model", str(whole[0]), "--out", str(out), "--no-onnx"])
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "config.json"]


def test_a_failed_exchange_puts_back_what_was_there(tmp_path, monkeypatch):
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
        (folder / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model={none}"], "holds no trained network"),
        (["--checkpoint=9"], r"no checkpoint 9 in .*there are steps \[7\]"),
        (["--checkpoint=last"], "--checkpoint='last' must be 'best' or a step"),
        (["--branches=global,legs"], "--branches=global,legs: .*'legs'; it has"),
        (["--platforms=cpu,gpu"], "--platforms=cpu,gpu: name some of cpu, cuda"),
        (["--out={file}/x"], "file cannot be written to .*give another --out"),
        (["--out={file}"], "file is there, and is no export .*give another --out"),
        (["--out={run}"], "is there, and is no export"),
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
