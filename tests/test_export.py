"""Exported networks: each form gives the network's embeddings, without its run."""

import json
import re
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_run
from export_run import STEP, save_run
from hub_client import fake_hub
from jax import export as jax_export

from mbnet_jax.commands import export as command
from mbnet_jax.data.loader import load_example
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.export import check
from mbnet_jax.export.programs import make_programs
from mbnet_jax.runs.load import load
from mbnet_jax.runs.network import without_classifiers

pytest.importorskip("jax2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.usefixtures("one_block")

CUMSUM = jnp.cumsum  # which jax2onnx replaces
FILES = ("embed.stablehlo", "embed.onnx", "embed_global.stablehlo", "embed_global.onnx")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """The folder of that run's export."""
    out = tmp_path_factory.mktemp("exported") / "network"
    command.main(["--model", str(run), "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def people(small_data):
    """Images and maps: three of the synthetic dataset, and one with an empty map."""
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
    """The network's own embeddings of them, by the programs' names."""
    mesh = make_mesh(jax.devices()[:1])
    network = load(run, mesh)
    embed = make_embed(network.config, network.model, mesh)
    rows = embed(network.variables, people["image"], people["parsing"])
    rows = jax.device_get(rows)
    # Otherwise a comparison with them would show little.
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
    before, after = without_classifiers(load(run, mesh)), load(exported, mesh)
    small_run.assert_same(before.variables, after.variables)
    assert (after.step, after.model) == (STEP, before.model)
    for section in ("model", "views", "eval"):
        assert after.config[section] == before.config[section]
    # Paths of the machine that trained stay there.
    assert after.config.data.root == "" != before.config.data.root
    leaves = jax.tree.leaves(after.variables)
    assert all(leaf.sharding.mesh == mesh for leaf in leaves)


def test_one_device_loads_the_same_from_run_and_export(run, exported):
    mesh = make_mesh(jax.devices()[:1])
    before = without_classifiers(load(run, mesh))
    small_run.assert_same(before.variables, load(exported, mesh).variables)
    with pytest.raises(FileNotFoundError, match=r"no config\.json.*hub id"):
        load(exported.parent, mesh)
    with pytest.raises(ValueError, match="is an export, which has no checkpoint 7"):
        load(exported, mesh, STEP)


def test_a_hub_id_is_downloaded(exported, monkeypatch, tmp_path):
    requests = []

    def download(repository, file, local_files_only):
        requests.append((repository, file))
        shutil.copy(exported / file, tmp_path / file)
        return str(tmp_path / file)

    fake_hub(monkeypatch, download)
    network = load("somebody/network", make_mesh())
    assert network.step == STEP
    assert requests == [
        ("somebody/network", "config.json"),
        ("somebody/network", "model.safetensors"),
    ]


def test_a_failed_download_is_explained(monkeypatch, tmp_path):
    def offline(repository, file, local_files_only):
        raise OSError("No network.\nDetails.")

    fake_hub(monkeypatch, offline)
    message = r"no folder some/prcx, and cannot .*No network\. .* path of a folder"
    with pytest.raises(ValueError, match=message):
        load("some/prcx", make_mesh())

    (tmp_path / "config.json").write_text('{"architectures": []}')
    fake_hub(monkeypatch, lambda _, file, **__: str(tmp_path / file))
    with pytest.raises(ValueError, match=r"timm/x on the .* hub is not an export"):
        load("timm/x", make_mesh())


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("runs/synthetci", " (did you mean runs/synthetic?)"),
        ("runs/other", ""),
        ("./runs/synthetc", " (did you mean runs/synthetic?)"),
        ("here/x", ""),
        ("gone", ""),
    ],
)
def test_a_misspelt_folder_is_missing_at_once(monkeypatch, tmp_path, source, meant):
    fake_hub(monkeypatch, pytest.fail)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "synthetic").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    with pytest.raises(FileNotFoundError) as error:
        load(source, make_mesh())
    assert str(error.value).startswith(f"no such folder: {source}{meant}; give the")


def test_weights_that_do_not_fit_are_refused(exported, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(exported, folder)
    content = json.loads((folder / "config.json").read_text())
    content["config"]["model"]["branches"] = ["global"]
    content["config"]["model"]["backbones"]["global"]["width"] = 64
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError) as error:
        load(folder, make_mesh())
    assert "not in the network: batch_stats/clothing_unrelated_head/bnneck" in str(
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
    earlier = "earlier version of mbnet_jax and has to be exported again$"
    for content["version"] in (1, 2):
        (folder / "config.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=earlier):
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


def test_the_card_describes_the_files_and_its_code_runs(exported, monkeypatch):
    text = (exported / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: mbnet_jax\n")
    assert "`image` [b, 64, 32, 3], `parsing` [b, 64, 32]" in text
    assert "this checkpoint had not been evaluated" in text
    assert "| global: `one block`, width 128, stem patch, last_stride 1; cloth" in text
    assert "Without good maps use `embed_global.*`." in text
    assert "`mbnet-export --model RUN --out FOLDER --platforms cpu,cuda,tpu`" in text
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    monkeypatch.chdir(exported)
    for block in blocks[1:]:  # the first needs photographs
        names = {}
        exec(block, names)
        assert names["rows"].shape == (2, 128 * 2 + 16 * 2 + 8 * 2)


def test_the_converter_leaves_jax_as_it_was(exported):
    assert jnp.cumsum is CUMSUM


def test_a_wrong_program_is_detected(run, exported, expected):
    network = load(run, make_mesh(jax.devices()[:1]))
    program = make_programs(network, ())[1]
    wanted = check.references(network, [program], 2)[program.name]
    path = exported / FILES[3]
    assert check.largest_difference(program, path, wanted, "float32") < 1e-5
    wrong = wanted + np.float32([[0], [2e-4]])
    with pytest.raises(ValueError, match=r"embed_global\.onnx does not .* 2\.0e-04"):
        check.largest_difference(program, path, wrong, "float32")
