"""The shortcuts of a run, and of networks that see only person or background."""

import json
import re
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny
from crowd import CAMERAS, LABELS, PEOPLE, unit
from in_process import called

from benchmarks.shortcuts import __main__ as shortcuts
from benchmarks.shortcuts.images import Images, images_of
from benchmarks.shortcuts.measure import UNCHANGED, measure
from mbnet_jax.data import DATASETS, Split, read_records
from mbnet_jax.data.loader import Loader
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import Embedded, embed_split
from mbnet_jax.evaluation.results import evaluate_protocol
from mbnet_jax.models.heads import l2_normalize
from mbnet_jax.runs.network import Network


def network_that_sees(sees: str):
    """A network that embeds the mean colour of the background, or of the person."""

    @jax.jit
    def program(variables, image, parsing):
        area = ((parsing == 0) == (sees == "background"))[..., None]
        colour = (image / 255 * area).sum((1, 2)) / area.sum((1, 2))
        return {"global": l2_normalize(colour - 0.5)}

    return Network(tiny.tiny_config("data"), None, {}, 1), program


@pytest.fixture
def coloured(monkeypatch):
    """Images with one background colour per camera, and one colour per person."""
    count = len(LABELS.pid)
    labels = (np.int32(values) for values in LABELS[:3])
    split = Split(*labels, ("",) * count, np.arange(count), None)
    splits = {"gallery": split, "query": split}
    images = Images(
        tiny.tiny_config("data").data, splits, DATASETS["synthetic"].protocols, []
    )
    labels = images.labels
    people = unit(np.random.default_rng(0).normal(size=(PEOPLE, 3)))

    def read(self, index):
        parsing = tiny.person()
        colours = people[labels.pid[index]], np.eye(CAMERAS)[labels.camera[index]]
        person, background = 128 + 100 * np.array(colours)
        noise = np.random.default_rng(index).normal(scale=5, size=3)
        image = np.where((parsing > 0)[..., None], person, background) + noise
        return image.clip(0, 255).astype(np.uint8), parsing

    monkeypatch.setattr(Images, "read", read)
    return images


def test_a_network_that_sees_only_the_background_uses_the_shortcuts(coloured):
    found = measure(*network_that_sees("background"), coloured, seed=0)
    cosines = found["cosines"]["global",]
    assert cosines["own"] > 0.97 and cosines["another"] < 0.2
    aucs = [values["auc"] for values in found["neighbours"].values()]
    # With backgrounds of any camera, the person's camera has no influence.
    assert aucs == pytest.approx([1, 1, 0.5, 1], abs=0.05)
    for protocol in coloured.protocols:
        row = "global", protocol.title
        pasted, camera = found["background"][row], found["camera"][row]
        # True matches are from other cameras, so none of them has the same background.
        assert pasted["own"] == pytest.approx(pasted[UNCHANGED], abs=0.01)
        assert pasted["difference"] == pasted["any"] - pasted["own"] > 0.02
        assert (
            camera["difference"] == camera["other cameras"] - camera["control"] > 0.02
        )
        assert camera["centred"] > 1.3 * camera[UNCHANGED]


def test_a_network_that_sees_only_the_person_uses_no_shortcut(coloured):
    found = measure(*network_that_sees("person"), coloured, seed=0)
    cosines = found["cosines"]["global",]
    assert min(cosines["own"], cosines["another"]) > 1 - 1e-6
    aucs = [values["auc"] for values in found["neighbours"].values()]
    assert aucs == pytest.approx([0.5] * 4, abs=0.02)
    for row in found["background"]:
        pasted = found["background"][row]
        assert len({pasted[key] for key in (UNCHANGED, "own", "another", "any")}) == 1
        assert pasted["difference"] == 0
        assert abs(found["camera"][row]["difference"]) < 0.01


@pytest.fixture(scope="module")
def runs(whole, one_block, tmp_path_factory):
    """Two folders of one network, as if of two seeds, whose data has moved."""
    folders = []
    for seed in (1, 2):
        folder = tmp_path_factory.mktemp("shortcuts") / str(seed)
        shutil.copytree(whole[0], folder)
        change(folder, seed=seed)
        folders.append(folder)
    return folders


def change(folder, **fields):
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content["config"] |= fields
    content["config"]["data"]["root"] = str(folder / "gone")
    path.write_text(json.dumps(content))


def test_runs_are_measured_and_averaged(runs, small_data, monkeypatch, capsys):
    calls = []

    def recorded(network, program, images, seed):
        calls.append(
            (network, program, images, measure(network, program, images, seed))
        )
        return calls[-1][-1]

    monkeypatch.setattr(shortcuts, "measure", recorded)
    assert called(monkeypatch, shortcuts, *runs, "--data-root", small_data[0]) is None
    printed = capsys.readouterr().out
    network, program, images, found = calls[0]
    # The network is the same, but the draws also depend on the run's seed.
    assert found == measure(network, program, images, seed=0)
    other = calls[1][-1]
    assert found["cosines"]["global",]["own"] != other["cosines"]["global",]["own"]
    loader = Loader(images.data, make_mesh())
    embedded = {
        name: Embedded(split, embed_split(program, network.variables, split, loader, 8))
        for name, split in small_data[1].test.items()
    }
    for protocol in images.protocols:
        result = evaluate_protocol(embedded, protocol, ranks=(1,), seed=0)
        tested = result.values["global"]["mAP"]
        for table in ("camera", "background"):
            value = found[table]["global", protocol.title][UNCHANGED]
            assert value == pytest.approx(tested, abs=1e-6)
    cosines = found["cosines"]["global",]
    assert -1 < cosines["own"] < 1 and -1 < cosines["another"] < 1
    assert cosines["own"] != cosines["another"]

    assert re.search(r"Dataset synthetic, fingerprint `\w{16}`", printed)
    tables = [block for block in printed.split("\n\n") if block.startswith("| run")]
    assert [len(table.splitlines()) - 2 for table in tables] == [4, 3, 1, 3]
    assert all(len({row.count("|") for row in t.splitlines()}) == 1 for t in tables)
    share = 100 * found["neighbours"]["global", UNCHANGED]["nearest"]
    assert f"| 2 | global branch | unchanged | {share:.1f} ± 0.0 |" in tables[0]
    same, drawn = (of["cosines"]["global",]["own"] for of in (found, other))
    mean, std = (same + drawn) / 2, abs(same - drawn) / 2**0.5
    assert f"| 2 | global branch | {mean:.3f} ± {std:.3f} |" in tables[2]


def test_invalid_input_ends_in_a_one_line_message(
    runs, small_data, tmp_path, monkeypatch
):
    def fail(*_):
        raise AssertionError("must not be called")

    monkeypatch.setattr(shortcuts, "measure", fail)
    root = "--data-root", small_data[0]
    assert "holds no run" in called(monkeypatch, shortcuts, tmp_path, *root)
    assert "--seed=-1" in called(monkeypatch, shortcuts, runs[0], *root, "--seed=-1")
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    message = called(monkeypatch, shortcuts, runs[0], copy, *root)
    assert message.startswith("error: ") and "have the same config and seed" in message

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shortcuts, "fingerprint", lambda config: f"f{config.seed}")
        assert "different data (f1, f2)" in called(monkeypatch, shortcuts, *runs, *root)
    monkeypatch.setattr(
        "benchmarks.shortcuts.images.read_records",
        lambda *folder: {
            split: [row._replace(parsing_path=None) for row in rows]
            for split, rows in read_records(*folder).items()
        },
    )
    message = called(monkeypatch, shortcuts, runs[0], *root)
    assert "16 of 16 test images have no parsing map" in message
    assert "mbnet-parse" in message


def test_a_dataset_without_camera_labels_is_rejected(small_data):
    root, dataset = small_data
    test = {
        name: replace(split, camera=np.full_like(split.camera, -1))
        for name, split in dataset.test.items()
    }
    with pytest.raises(ValueError, match="has no camera labels"):
        images_of(tiny.tiny_config(root), replace(dataset, test=test))
