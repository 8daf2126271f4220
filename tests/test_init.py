"""`mbnet-init`: what is written, what is said, and what is refused."""

import re

import nasty
import numpy as np
import photos
import pytest
from in_process import called

from mbnet_jax.commands import init
from mbnet_jax.config import load_config
from mbnet_jax.data import read_records
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.own_images.sizes import Device, fit
from mbnet_jax.training.check import check_run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve persons, two outfits, two cameras."""
    monkeypatch.chdir(tmp_path)
    for number in range(48):
        person, outfit, camera = number // 4, number // 2 % 2, number % 2
        photos.write_photo(
            tmp_path / "mine" / f"p {person}" / f"outfit{outfit}" / f"c{camera}.jpg",
            number,
        )
    return tmp_path / "mine"


def test_what_is_written_is_read_and_can_be_trained_with(folder, monkeypatch, capsys):
    files = {path.name for path in folder.rglob("*")}
    assert called(monkeypatch, init, "mine", "--dry-run") is None
    assert {path.name for path in folder.rglob("*")} == files
    assert called(monkeypatch, init, "mine", "--no-imagenet") is None
    said = capsys.readouterr().out
    assert "pattern (a guess): {person}/{clothes}/c{camera}" in said
    assert re.search("p 0/outfit0/c0.jpg +person=p 0, camera=0, clothes=outfit0", said)
    assert "training: 32 images of 8 persons; test: 4 queries" in said
    assert "mbnet-train --config mine/config.py" in said
    config = load_config("mine/config.py")
    check_run(config, make_mesh(), training=True)
    assert (config.name, config.data.root) == ("mine", "mine")
    assert config.model.branches == ("global",) and config.loss.ktm_area == 0
    records = read_records(config.data.name, config.data.root)
    assert sum(map(len, records.values())) == 48
    assert ",p 3,train,1,outfit0" in (folder / "manifest.csv").read_text()

    before = (folder / "config.py").read_bytes(), (folder / "manifest.csv").read_bytes()
    assert "config.py exists and is not replaced" in called(monkeypatch, init, "mine")
    out = ("--out", "elsewhere", "--no-imagenet")
    assert called(monkeypatch, init, "mine", *out) is None
    assert (folder / "config.py").read_bytes() == before[0]
    assert (folder / "manifest.csv").read_bytes() == before[1]
    again = read_records("manifest", "elsewhere")
    assert [r._replace(path=0) for r in again["query"]] == [
        r._replace(path=0) for r in records["query"]
    ]
    assert all(row.path.is_absolute() for row in again["query"])
    assert (
        "--out elsewhere_maps --no-imagenet --maps mine_maps" in capsys.readouterr().out
    )


def test_a_manifest_that_exists_is_used_as_it_is(folder, monkeypatch, capsys):
    called(monkeypatch, init, "mine", "--pattern", "{person}/*/{camera}")
    text = (folder / "manifest.csv").read_text().replace("p 3,", "p three,")
    (folder / "manifest.csv").write_text(text)
    (folder / "config.py").unlink()
    message = called(monkeypatch, init, "mine", "--pattern", "{person}/**")
    assert "manifest.csv exists and is not replaced, so --pattern" in message
    assert called(monkeypatch, init, "mine") is None
    assert "manifest.csv exists and is used as it is" in capsys.readouterr().out
    assert (folder / "manifest.csv").read_text() == text
    assert (
        called(monkeypatch, init, "mine", "--pattern", "{person}/**", "--dry-run")
        is None
    )
    assert "pattern: {person}/**" in capsys.readouterr().out


@pytest.mark.parametrize("out", [None, "elsewhere"])
def test_with_maps_all_branches_are_trained(out, folder, tmp_path, monkeypatch, capsys):
    for image in folder.rglob("*.jpg"):
        path = tmp_path / "mine_maps" / image.relative_to(folder).with_suffix(".png")
        photos.write_map(path)
    flags = ["mine", "--maps", "mine_maps", *(["--out", out] if out else [])]
    message = called(monkeypatch, init, *flags)
    assert "give their label set, --labels=" in message
    assert called(monkeypatch, init, *flags, "--labels", "atr") is None
    config = load_config(f"{out or 'mine'}/config_maps.py")
    assert len(config.model.branches) == 3 and config.data.parsing_labels == "atr"
    assert config.name == "mine_maps" and config.loss.ktm_area == 1
    rows = read_records("manifest", config.data.root, config.data.parsing_dir)
    assert all(row.parsing_path for split in rows.values() for row in split)
    assert "mbnet-preview --config" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["none"], "none does not exist; give the folder of the photographs"),
        (["mine/p 0/outfit0/c0.jpg"], "c0.jpg is not a folder; give the folder"),
        (["mine", "--maps", "none"], "no such folder of parsing maps: none"),
        (
            ["mine", "--pattern", "{person}_*_{camera}_x"],
            "no name fits --pattern .*p 0/",
        ),
        (["mine", "--test-fraction", "1"], "--test-fraction=1.0 must be above 0 and"),
        (["mine", "--seed=-1"], "--seed=-1 must not be negative"),
        (["mine", "--patern", "x"], "--patern.? is no flag of mbnet-init; .*--pattern"),
        (["mine", "--out", "mine/p 0/outfit0/c0.jpg"], "cannot be written to .*--out"),
    ],
)
def test_what_cannot_be_done_is_refused(flags, message, folder, monkeypatch):
    said = called(monkeypatch, init, *flags)
    assert isinstance(said, str) and said.startswith("error: ")
    assert re.search(message, said), said
    assert not [*folder.parent.rglob("manifest.csv")]


def test_the_nasty_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    good = nasty.make(tmp_path / "nasty")
    assert len(good) + len(nasty.BAD) == 216
    assert called(monkeypatch, init, "nasty", "--no-imagenet") is None
    said = capsys.readouterr().out
    for name, reason in nasty.BAD.items():
        assert any(
            f"  {name}: " in line and reason in line for line in said.splitlines()
        )
    assert "2 whose names do not fit the pattern: Ana/portrait.png, cover.jpg" in said
    records = read_records("manifest", "nasty")
    paths = [row.path for rows in records.values() for row in rows]
    assert sorted(str(path.relative_to("nasty")) for path in paths) == good
    assert "12 persons" in said and "3 cameras" in said and "2 names of clothes" in said


def test_sizes_fit_images_and_devices(folder, monkeypatch):
    called(monkeypatch, init, "mine")
    train = read_records("manifest", "mine")["train"]
    cpu, gpus = Device("cpu", 1, 2), Device("gpu", 8, 16)
    kinds = {"maps": False, "imagenet": True}
    small = fit(train, cpu, 400, **kinds)
    assert (small.height, small.width, small.batch) == (128, 64, 32)
    assert small.epochs * small.steps == 200
    large = fit(train * 500, gpus, 400, **kinds)
    assert (large.height, large.backbone) == (256, "resnet50")
    assert large.batch % 8 == 0 and large.test_batch % 8 == 0
    assert large.epochs * large.steps > 5000
    assert fit(train, gpus, 100, **kinds).height == 128
    three = [row for row in train if row.pid < 3]
    batch = fit(three, Device("gpu", 5, 4), 100, **kinds)
    assert batch.batch % 5 == 0 and batch.persons <= 3
    one = [row for row in train if row.pid == 0]
    with pytest.raises(ValueError, match="1 person in the split train"):
        fit(one, cpu, 100, **kinds)
    assert np.isin(small.validation, ["none", "held_out"])
