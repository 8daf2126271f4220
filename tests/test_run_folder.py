"""A run's folder: what may differ on resuming, what it refuses, how it is read."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import optax
import pytest
from small_run import assert_same, one_device

from mbnet_jax.api import Run
from mbnet_jax.files import check_writable, filename_in_errors
from mbnet_jax.runs.load import load
from mbnet_jax.runs.run_folder import FILE, RunFolder


@pytest.fixture
def run(small, tmp_path):
    """Config, dataset and folder of a run that has no checkpoint yet."""
    config, dataset, _ = small
    return config, dataset, RunFolder.create(tmp_path, config, dataset)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model.backbones.global.width", 8),
        ("model.fusion_heads", 1),
        ("views.crops", (32, 32)),
        ("seed", 1),
        ("data.name", "ltcc"),
        ("data.height", 128),
        ("data.parsing_labels", "lip"),
        ("data.validation", "none"),
        ("data.validation_fraction", 0.5),
        ("data.synthetic.cameras", 4),
        ("train.batch_size", 4),
        ("train.images_per_identity", 4),
    ],
)
def test_another_network_or_other_data_is_refused(run, field, value):
    config, dataset, folder = run
    before = config.to_dict()
    for part in field.split("."):
        before = before[part]
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match="another architecture or other data") as error:
        folder.check_resume(config, dataset)
    given = list(value) if isinstance(value, tuple) else value
    before = list(before) if isinstance(before, tuple) else before
    assert f"\n  {field}: {before} -> {given}\nGive the saved" in str(error.value)


def test_every_other_difference_is_listed(run):
    config, dataset, folder = run
    assert folder.check_resume(config, dataset) == []
    root = config.data.root
    config.data.update(root="/moved", parsing_dir="/maps", threads=1, max_bad_images=0)
    config.train.update(learning_rate=1.0, epochs=9)
    config.model.backbones["global"].weights = "other.npz"
    assert folder.check_resume(config, dataset) == [
        "data.max_bad_images: 10 -> 0",
        "data.parsing_dir:  -> /maps",
        f"data.root: {root} -> /moved",
        "data.threads: 2 -> 1",
        "model.backbones.global.weights:  -> other.npz (no effect: a new run reads it)",
        "train.epochs: 2 -> 9",
        "train.learning_rate: 0.002 -> 1.0",
    ]


def test_an_evaluation_on_other_data_is_reported_and_not_refused(run):
    config, _, folder = run
    config.data.name = "ltcc"
    assert folder.differences(config) == ["data.name: synthetic -> ltcc"]
    config.model.backbones["global"].width = 8
    with pytest.raises(ValueError, match=r"model\.backbones\.global\.width: 4 -> 8"):
        folder.differences(config)


def test_images_that_changed_under_the_same_config_are_refused(run):
    config, dataset, folder = run
    train, validation = dataset.train, dataset.validation
    others = [
        {"train": dataclasses.replace(train, clothes=np.roll(train.clothes, 1))},
        {"train": dataclasses.replace(train, names=("new.jpg", *train.names[1:]))},
        {
            "validation": dataclasses.replace(
                validation, images=validation.images.subset(np.arange(4))
            )
        },
        {"validation": None},
    ]
    for change in others:
        other = dataclasses.replace(dataset, **change)
        with pytest.raises(ValueError, match="or their labels, are not those that"):
            folder.check_resume(config, other)


def test_the_config_is_saved_as_it_is_with_its_version(run):
    config, _, folder = run
    assert folder.config.to_dict() == config.to_dict()  # tuples are tuples
    assert (folder.num_classes, folder.num_clothes) == (6, 0)
    assert json.loads((folder.path / FILE).read_text())["version"] == 2


def test_a_folder_without_a_run_or_with_a_damaged_config_is_refused(run, tmp_path):
    _, _, folder = run
    with pytest.raises(FileNotFoundError, match="holds no run"):
        RunFolder(tmp_path / "empty")
    path = folder.path / FILE
    path.write_text(path.read_text()[:50])
    with pytest.raises(
        ValueError, match=r"config\.json is damaged \(.*restore a copy, or give"
    ):
        RunFolder(folder.path)


@pytest.mark.parametrize("version", [None, 1, 3])
@pytest.mark.parametrize(
    "read", [RunFolder, Run, lambda path: load(path, one_device())]
)
def test_a_run_of_another_version_is_refused_in_one_sentence(run, read, version):
    path = run[2].path / FILE
    content = json.loads(path.read_text())
    del content["version"]
    if version:
        content["version"] = version
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError) as error:
        read(run[2].path)
    assert str(error.value) == (
        f"the run in {run[2].path} was made by another version of mbnet_jax, which "
        "names config fields and parameters differently; train it again, or use that "
        "version"
    )


def test_the_folder_is_read_once(whole, small, tmp_path):
    config, dataset, mesh = small
    shutil.copytree(whole[0], tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    (tmp_path / "run" / FILE).unlink()
    assert folder.load(mesh, 12).step == 12
    assert folder.check_resume(config, dataset) == folder.differences(config) == []
    assert folder.make_model().num_classes == folder.num_classes == 6
    assert not folder.metrics()


def test_weights_are_loaded_without_an_optimizer_or_its_state(
    whole, small, tmp_path, monkeypatch, capfd
):
    """The checkpoint's other part may be missing or damaged, and optax unused."""
    mesh = one_device()
    shutil.copytree(whole[0], tmp_path / "run")
    for number, part in enumerate(sorted((tmp_path / "run").glob("*/*/training"))):
        if number % 2:
            shutil.rmtree(part)
        else:
            (part / "manifest.ocdbt").write_text("damaged")

    def refuse(*_, **__):
        raise AssertionError("an optimizer is built")

    for name in ("chain", "scale_by_adam", "add_decayed_weights"):
        monkeypatch.setattr(optax, name, refuse)
    loaded = RunFolder(tmp_path / "run").load(mesh, 12)
    assert loaded.step == 12
    assert_same(jax.device_get(whole[1].variables), jax.device_get(loaded.variables))
    best = load(tmp_path / "run", mesh)
    assert [str(best.step)] == [p.name for p in (tmp_path / "run" / "best").iterdir()]
    assert not capfd.readouterr().out  # no other checkpoint was used


def test_a_folder_that_cannot_be_written_to_is_refused_with_the_remedy(tmp_path):
    check_writable(tmp_path / "new" / "run", "give another")
    assert list(tmp_path.rglob("*")) == [tmp_path / "new", tmp_path / "new" / "run"]
    (tmp_path / "file").write_text("")
    message = r"file/run cannot be written to \(Not a directory\); give another"
    with pytest.raises(OSError, match=message):
        check_writable(tmp_path / "file" / "run", "give another")


def test_an_error_of_a_full_disk_gets_the_name_of_the_file():
    full = pytest.raises(OSError, match=r"No space left on device; free space: 'here'")
    with full, filename_in_errors("here"), open("/dev/full", "w") as file:
        file.write("x")
