"""Tracklets: their rows, their embeddings, and the table that ranks them."""

import csv
import dataclasses
import json
import tracemalloc

import jax
import layouts_video
import numpy as np
import pytest
import tiny
from embedded import split

from configs import ccvid
from mbnet_jax.api import Run
from mbnet_jax.data import load_dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.splits import make_validation
from mbnet_jax.data.tracklets import by_tracklet
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import embed_split
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.evaluation.tracklets import mean_embeddings
from mbnet_jax.runs.header import header, training_splits
from mbnet_jax.runs.run_folder import digest_labels
from mbnet_jax.training.loop import train
from mbnet_jax.training.plan import make_plan

pytestmark = pytest.mark.usefixtures("one_block")


def frames_of(tracklet, **labels):
    """A split of images of these tracklets, with labels of the tracklets."""
    tracklet = np.array(tracklet, np.int32)
    columns = {name: tracklet % 3 for name in ("pid", "camera", "clothes")} | labels
    return dataclasses.replace(split(**columns), tracklet=tracklet)


def test_a_row_has_its_frames_labels_and_the_name_of_the_middle_one():
    frames = frames_of([7, 7, 4, 7, 7, 4, 5])
    rows = by_tracklet(frames)
    # In the order of the first frames; 7 has frames 0, 1, 3, 4.
    assert rows.tracklet.tolist() == [7, 4, 5]
    assert rows.pid.tolist() == [1, 1, 2]
    assert rows.names == ("x/3.jpg", "x/5.jpg", "x/6.jpg")
    assert rows.positions.tolist() == [3, 5, 6]
    assert [f.tolist() for f in rows.frames.of_row] == [[0, 1, 3, 4], [2, 5], [6]]
    assert (rows.unit, len(rows), rows.number_of_images) == ("tracklets", 3, 7)
    last = rows.subset(np.array([2, 0]))
    assert [f.tolist() for f in last.frames.of_row] == [[6], [0, 1, 3, 4]]
    assert last.number_of_images == 5 and frames.number_of_images == 7
    assert frames.unit == "images"


@pytest.mark.parametrize(
    ("label", "word"),
    [("pid", "person"), ("camera", "camera"), ("clothes", "clothes")],
)
def test_frames_of_one_tracklet_have_the_same_labels(label, word):
    frames = frames_of([4, 4, 5, 5], **{label: [0, 0, 1, 2]})
    message = rf"x/2\.jpg and x/3\.jpg are of one tracklet, but not of the same {word}"
    with pytest.raises(ValueError, match=message):
        by_tracklet(frames)
    with pytest.raises(ValueError, match=r"1 of 2 images have no tracklet, first x/1"):
        by_tracklet(frames_of([3, -1]))


def test_means_are_those_of_numpy_whatever_the_batches():
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(5), [1, 7, 30, 2, 9])
    frames = {kind: rng.normal(size=(49, 6)).astype(np.float32) for kind in "ab"}
    for size in (1, 4, 8, 49, 100):
        parts = [slice(start, start + size) for start in range(0, 49, size)]
        batches = ((rows[at], {k: x[at] for k, x in frames.items()}) for at in parts)
        found = mean_embeddings(batches, 5)
        for kind, x in frames.items():
            means = np.stack([x[rows == row].mean(0, dtype=float) for row in range(5)])
            means /= np.linalg.norm(means, axis=1, keepdims=True)
            assert found[kind].dtype == np.float32
            np.testing.assert_allclose(found[kind], means, rtol=0, atol=1e-7)


class Numbers:
    """A loader whose images are only their number."""

    def evaluate(self, split, batch_size):
        for start in range(0, len(split), batch_size):
            number = np.minimum(start + np.arange(batch_size), len(split) - 1)
            yield {"image": split.positions[number], "parsing": None}


def peak(frames: int) -> int:
    """Bytes that embedding 20 tracklets of so many frames takes, besides the split."""
    rows = by_tracklet(frames_of(np.arange(20).repeat(frames)))
    directions = np.random.default_rng(0).normal(size=(64, 512)).astype(np.float32)

    def embed(variables, image, parsing):
        return {"all": directions[image % 64]}

    tracemalloc.start()
    embed_split(embed, {}, rows, Numbers(), 16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_frames_of_a_tracklet():
    few, many = peak(10), peak(200)
    # 3,800 more embeddings of 2,048 bytes; a frame's name and place may be listed.
    assert many - few < 3_800 * 128
    assert few < 2_000_000


def test_an_embedding_that_is_none_is_named_with_its_frame():
    rows = by_tracklet(frames_of([0, 0, 0, 1, 1]))

    def embed(variables, image, parsing):
        bad = np.where(image == 1, np.nan, 1.0)
        return {"all": np.stack([bad, bad], axis=1).astype(np.float32)}

    with pytest.raises(ValueError, match=r"test: .* 1 of 2 images is NaN.* 'x/1\.jpg'"):
        embed_split(embed, {}, rows, Numbers(), 2, "test")


def test_validation_ranks_tracklets():
    # Two persons, each in two outfits before two cameras: a tracklet for each of these.
    tracklet = np.arange(8).repeat(3)
    labels = {
        "pid": tracklet // 4,
        "camera": tracklet % 2,
        "clothes": tracklet % 4 // 2,
    }
    validation = make_validation(by_tracklet(frames_of(tracklet, **labels)))
    assert validation.rule == "clothes_changing"
    assert len(validation.gallery) == len(validation.query) == 8
    assert validation.images.number_of_images == 24


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network trained on the copy of CCVID: config, dataset and run."""
    root = layouts_video.write_ccvid(tmp_path_factory.mktemp("ccvid"))
    config = ccvid.get_config()
    reference = tiny.tiny_config(root)
    for section in ("augment", "views", "model", "train"):
        config[section].update(reference[section])
    config.eval.update(reference.eval, flip=False, report=True, report_lists=1)
    config.data.update(height=tiny.HEIGHT, width=tiny.WIDTH, threads=2)
    config.data.update(root=str(root), validation_fraction=0.5)
    config.model.branches = ("global",)
    config.loss.ktm_area = 0.0  # there are no maps
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    config.train.update(epochs=2, steps_per_epoch=1, batch_size=4)
    dataset = load_dataset(config)
    mesh = make_mesh(jax.devices()[:1])
    workdir = tmp_path_factory.mktemp("run")
    train(config, dataset, workdir, mesh)
    return config, dataset, Run(workdir, mesh, dataset=dataset)


def test_the_embedding_of_a_tracklet_is_the_mean_of_its_frames(run):
    config, dataset, trained = run
    mesh = make_mesh(jax.devices()[:1])
    network = trained.load(mesh, "best")
    embed = make_embed(config, network.model, mesh)
    gallery = dataset.test["gallery"]
    loader = Loader(config.data, mesh)
    frames = embed_split(embed, network.variables, gallery.frames.images, loader, 8)
    for size in (8, 16):
        rows = embed_split(embed, network.variables, gallery, loader, size)
        assert rows.keys() == {"global"}
        for row, of_row in zip(rows["global"], gallery.frames.of_row, strict=True):
            mean = frames["global"][of_row].mean(0, dtype=float)
            np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-5)


def test_from_raw_frames_to_a_table_of_tracklets(run, capsys):
    config, dataset, trained = run
    # Two persons are held out, with their frames.
    assert dataset.by_tracklet and dataset.validation.images.unit == "tracklets"
    assert dataset.train.number_of_images == len(dataset.train)
    results = trained.evaluate(config)
    printed = capsys.readouterr().out
    assert list(results) == ["general", "same_clothes", "clothes_changing"]
    note = (
        "tracklets are ranked, each by the mean of its images' embeddings: 2 of query "
        "(4 images), 4 of gallery (13 images)"
    )
    assert f"note: {note}" in printed
    stored = json.loads((trained.eval / "metrics.json").read_text())
    assert note in stored["notes"] and stored["results"] == results
    assert {p["ranked"] for p in stored["protocols"].values()} == {"tracklets"}
    with (trained.eval / "queries.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(r["file"], r["person"]) for r in rows] == 3 * [
        ("CCVID/session1/001_01/00002.jpg", "001"),
        ("CCVID/session1/002_01/00001.jpg", "002"),
    ]
    page = (trained.eval / "report.html").read_text()
    for text in (
        note.replace("'", "&#39;"),
        "query: 2 tracklets of 2 persons (4 images)",
        "among their k nearest tracklets",
        "A tracklet is shown by its middle image",
    ):
        assert text in page


def test_the_header_counts_frames_and_tracklets(run):
    config, dataset, trained = run
    mesh = make_mesh(jax.devices()[:1])
    params = trained.load(mesh, "best").variables["params"]
    lines = header(config, training_splits(dataset), params, mesh).splitlines()
    assert lines[0].split()[1:] == [
        "persons",
        "images",
        "cameras",
        "outfits",
        "tracklets",
    ]
    found = {line.split()[0]: line.split()[1:] for line in lines[1:5]}
    assert found["query"] == ["2", "4", "1", "2", "2"]
    assert found["gallery"] == ["2", "13", "4", "4", "4"]


def test_a_run_remembers_the_frames_of_its_validation(run):
    _, dataset, trained = run
    assert trained.labels == digest_labels(dataset)
    frames = dataset.validation.images.frames
    less = frames.images.subset(np.arange(1, len(frames.images)))
    tracklets = dataclasses.replace(
        dataset.validation.images, frames=frames._replace(images=less)
    )
    validation = dataclasses.replace(dataset.validation, images=tracklets)
    other = dataclasses.replace(dataset, validation=validation)
    assert digest_labels(other) != trained.labels


def test_training_draws_frames_of_different_tracklets(run):
    config = run[0].copy_and_resolve_references()
    config.data.validation = "none"
    dataset = load_dataset(config)
    plan = make_plan(config, dataset, make_mesh(jax.devices()[:1]))
    met = set()
    for step in range(12):
        for pair in plan.sampler.batch(step).reshape(2, 2):
            assert len({*dataset.train.tracklet[pair]}) == 2
            met |= {*dataset.train.pid[pair].tolist()}
    assert met == {0, 1, 2, 3}  # two of whom have one outfit only
