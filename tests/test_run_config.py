"""What may differ when a run goes on, and where a run can be."""

import dataclasses

import numpy as np
import pytest

from mbnet_jax.files import check_writable, filename_in_errors
from mbnet_jax.runs.run_folder import (
    FILE,
    differences,
    differences_to_resume,
    load_num_classes,
    save_config,
)


@pytest.fixture
def run(small, tmp_path):
    config, dataset, _ = small
    save_config(config, dataset, tmp_path)
    return config, dataset, tmp_path


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model.width", 8),
        ("views.crop_size", (32, 32)),
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
    config, dataset, workdir = run
    before = config.to_dict()
    for part in field.split("."):
        before = before[part]
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match="another architecture or other data") as error:
        differences_to_resume(config, dataset, workdir)
    given = list(value) if isinstance(value, tuple) else value
    before = list(before) if isinstance(before, tuple) else before
    assert f"\n  {field}: {before} -> {given}\nGive the saved" in str(error.value)


def test_whatever_else_differs_is_told_of(run):
    config, dataset, workdir = run
    assert differences_to_resume(config, dataset, workdir) == []
    root = config.data.root
    config.data.update(root="/moved", parsing_dir="/maps", threads=1, max_bad_images=0)
    config.train.update(learning_rate=1.0, epochs=9)
    config.model.pretrained = "other.npz"
    assert differences_to_resume(config, dataset, workdir) == [
        "data.max_bad_images: 10 -> 0",
        "data.parsing_dir:  -> /maps",
        f"data.root: {root} -> /moved",
        "data.threads: 2 -> 1",
        "model.pretrained:  -> other.npz (no effect: only a new run reads it)",
        "train.epochs: 2 -> 9",
        "train.learning_rate: 0.002 -> 1.0",
    ]


def test_a_test_on_other_data_is_told_of_and_not_refused(run):
    config, _, workdir = run
    config.data.name = "ltcc"
    assert differences(config, workdir) == ["data.name: synthetic -> ltcc"]
    config.model.width = 8
    with pytest.raises(ValueError, match=r"model\.width: 4 -> 8"):
        differences(config, workdir)


def test_images_that_changed_behind_the_same_config_are_refused(run):
    config, dataset, workdir = run
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
        with pytest.raises(
            ValueError, match="or their labels, are no longer those that"
        ):
            differences_to_resume(config, other, workdir)


def test_a_folder_without_a_run_or_with_a_torn_config_says_so(run, tmp_path):
    config, _, workdir = run
    assert load_num_classes(workdir) == 6
    with pytest.raises(FileNotFoundError, match="holds no run"):
        differences(config, tmp_path / "empty")
    (workdir / FILE).write_text((workdir / FILE).read_text()[:50])
    with pytest.raises(
        ValueError, match=r"config\.json is damaged \(.*put back a copy"
    ):
        load_num_classes(workdir)


def test_a_folder_that_cannot_be_written_to_is_refused_with_the_remedy(tmp_path):
    check_writable(tmp_path / "new" / "run", "give another")
    assert list(tmp_path.rglob("*")) == [tmp_path / "new", tmp_path / "new" / "run"]
    (tmp_path / "file").write_text("")
    message = r"file/run cannot be written to \(Not a directory\); give another"
    with pytest.raises(OSError, match=message):
        check_writable(tmp_path / "file" / "run", "give another")


def test_an_error_of_a_full_disk_gets_the_name_of_the_file():
    full = pytest.raises(OSError, match=r"No space left on device: 'here'")
    with full, filename_in_errors("here"), open("/dev/full", "w") as file:
        file.write("x")
