"""Training on the split val too, and what a run says that it was trained on."""

import json

import jax
import layouts
import layouts_standard
import numpy as np
import pytest
from test_datasets import small

import mbnet_jax
from mbnet_jax.config import load_config
from mbnet_jax.data import DATASETS, load_dataset
from mbnet_jax.data.parts import trained_title
from mbnet_jax.data.variants import with_variants
from mbnet_jax.devices.mesh import make_mesh


def without_maps(name, root, **data):
    config = small(load_config(name), root, "")
    config.loss.ktm_area = 0.0  # needs maps
    with config.unlocked():
        config.data.update(data)
    return config


def shown(split):
    """Name -> person, camera and clothes; and the examples' names fit."""
    for index, name in enumerate(split.names):
        assert split.example(index)["name"].decode() == name
    labels = zip(split.pid, split.camera, split.clothes, strict=True)
    return dict(zip(split.names, (tuple(map(int, row)) for row in labels), strict=True))


def test_prccs_val_has_the_persons_and_outfits_of_train(tmp_path, capsys):
    root = layouts.write_prcc(tmp_path)
    alone = load_dataset(without_maps("prcc", root, validation="none")).train
    assert "note: trained on prcc (train alone): 24 images" in capsys.readouterr().out
    config = without_maps("prcc", root, validation="none", train_with_val=True)
    both = load_dataset(config)
    assert "note: trained on prcc (train and val): 36 images" in capsys.readouterr().out
    assert both.validation is None and sorted(both.test) == [
        *("gallery", "query_changing", "query_same"),
    ]
    labels = shown(both.train)
    assert {n: labels[n] for n in alone.names} == shown(alone)
    assert {n: v for n, v in labels.items() if n not in alone.names} == {
        f"prcc/rgb/val/{person:03d}/{letter}_cropped_rgb003.jpg": (
            *(pid, camera, 2 * pid + (letter == "C")),
        )
        for pid, person in enumerate((1, 2, 90, 165))
        for camera, letter in enumerate("ABC")
    }
    assert {both.train.pid.dtype, both.train.clothes.dtype} == {np.dtype(np.int32)}
    # The images of persons who are held out are held out in val, too.
    config.data.validation = "held_out"
    dataset = load_dataset(config)
    assert (len(dataset.train), len(dataset.validation.images)) == (18, 18)
    assert dataset.train.pid.max() == 1 and dataset.train.clothes.max() == 3


def test_msmt17s_val_is_matched_by_the_person(tmp_path):
    root = layouts_standard.write_msmt17(tmp_path)
    # A person that train lacks cannot be trained on.
    name = "0009/0009_000_01_0303morning_0008_0.jpg"
    layouts.write_image(root / "MSMT17_V1" / "train" / name, 9)
    with (root / "MSMT17_V1" / "list_val.txt").open("a") as file:
        file.write(f"{name} 9\n")
    config = without_maps("msmt17", root)
    dataset = load_dataset(config)
    assert (len(dataset.train), len(dataset.validation.images)) == (16, 5)
    config = without_maps("msmt17", root, validation="none", train_with_val=True)
    labels = shown(load_dataset(config).train)
    assert len(labels) == 20 and not any("0009" in name for name in labels)
    assert [labels[name] for name in [*labels][16:]] == [
        *((0, 0, -1), (0, 14, -1), (1, 0, -1), (1, 14, -1)),
    ]


def test_val_is_not_trained_on_and_validated_with(tmp_path):
    root = layouts_standard.write_msmt17(tmp_path)
    with pytest.raises(ValueError, match=r"validation=default would .* none or held_o"):
        load_dataset(without_maps("msmt17", root, train_with_val=True))
    root = layouts_standard.write_market1501(tmp_path / "market")
    with pytest.raises(ValueError, match="True, but market1501 has no split val"):
        load_dataset(without_maps("market1501", root, train_with_val=True))


def test_the_variant_that_is_there_is_the_runs(tmp_path):
    v2 = layouts_standard.write_msmt17(tmp_path, "MSMT17_V2", "v2")
    config = load_config("msmt17", [f"data.root={v2}"])
    resolved = with_variants(config)
    assert resolved.data.variant == "v2" and "variant" not in config.data
    assert trained_title(resolved.data) == "msmt17 v2 (train alone)"
    assert with_variants(resolved) is resolved
    config.data.name = ("ltcc", "msmt17")
    several = with_variants(config)
    assert trained_title(several.data) == "ltcc + msmt17 v2 (train alone)"
    layouts_standard.write_msmt17(tmp_path)
    with pytest.raises(ValueError, match="several variants of msmt17: v1, v2"):
        with_variants(config)


@pytest.mark.usefixtures("one_block")
def test_a_run_says_what_it_was_trained_on(tmp_path):
    root = layouts_standard.write_msmt17(tmp_path / "data", "MSMT17_V2", "v2")
    config = without_maps("msmt17", root, validation="none", train_with_val=True)
    config.train.epochs = 1
    config.eval.report = True
    mesh = make_mesh(jax.devices()[:1])
    run = mbnet_jax.train(config, tmp_path / "run", mesh=mesh)
    assert run.config.data.variant == "v2"
    results = run.evaluate()
    assert [*results] == ["general"] and 0 < results["general"]["global"]["mAP"] <= 1
    stored = json.loads((run.eval / "metrics.json").read_text())
    assert stored["trained_on"] == "msmt17 v2 (train and val)"
    page = (run.eval / "report.html").read_text()
    assert "msmt17 v2 (train and val)" in page
    # Given as before, "": it is no other dataset.
    again = mbnet_jax.Run(tmp_path / "run", mesh).evaluate(config)
    assert again == results and not (run.eval / "msmt17").exists()


def test_validation_of_each_standard_dataset():
    found = {n: DATASETS[n].validation for n in ("market1501", "msmt17", "cuhk03")}
    assert found == {"market1501": "held_out", "msmt17": "own", "cuhk03": "held_out"}
