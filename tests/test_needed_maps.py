"""The mode without parsing maps, and the refusals where maps are needed."""

import json

import jax
import numpy as np
import pytest
import small_run
import tiny
from untrained import whole_network

from mbnet_jax.api import Run
from mbnet_jax.data import Split, load_dataset, read_records
from mbnet_jax.data.needed_maps import check_maps
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.parsing.maps import MAKE_MAPS
from mbnet_jax.runs.network import make_model
from mbnet_jax.training.loop import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_folder(tmp_path_factory.mktemp("raw"))


def config_of(model=None, area=1.0, evaluated=()):
    config = tiny.tiny_config("data")
    config.model.branches = model or config.model.branches
    config.loss.ktm_area = area
    config.eval.branches = evaluated
    return config


@pytest.mark.parametrize(
    ("changes", "split", "needs"),
    [
        (
            {},
            "train",
            "by the branch 'clothing_unrelated', the branch 'mask', KTM's area",
        ),
        ({"model": ("global",)}, "train", "map; needed by KTM's area term."),
        ({"evaluated": ("global", "mask")}, "gallery", "needed by the branch 'mask'."),
        ({"model": ("mask",), "area": 0.0}, "query", "needed by the branch 'mask'."),
    ],
)
def test_missing_maps_are_refused_with_the_command(folder, changes, split, needs):
    records = read_records("synthetic", folder)
    check_maps(config_of(**changes), records, training=True)
    records[split][1:3] = [r._replace(parsing_path=None) for r in records[split][1:3]]
    with pytest.raises(ValueError) as error:
        check_maps(config_of(**changes), records, training=True)
    message = str(error.value)
    assert f"2 of {len(records[split])} images of the split '{split}'" in message
    assert needs in message
    assert MAKE_MAPS in message


def test_the_global_branch_alone_needs_no_maps(folder):
    records = {
        split: [row._replace(parsing_path=None) for row in rows]
        for split, rows in read_records("synthetic", folder).items()
    }
    check_maps(config_of(("global",), area=0.0), records, training=True)
    no_ktm = config_of(("global",))
    no_ktm.model.ktm = False
    check_maps(no_ktm, records, training=True)
    # Evaluates the global branch of a network that was trained with all of them.
    check_maps(config_of(evaluated=("global",)), records, training=False)
    with pytest.raises(ValueError, match="split 'query'"):
        check_maps(config_of(), records, training=False)


def test_another_label_set_is_refused_at_every_start(folder):
    records = read_records("synthetic", folder)
    config = config_of()
    config.data.parsing_labels = "pascal"
    found = {split: rows for split, rows in records.items() if split != "train"}
    check_maps(config, found, training=False)  # ends at 6, as these maps do
    path = found["query"][0].parsing_path
    good = path.read_bytes()
    path.write_bytes(tiny.encoded(np.full((64, 32), 7, np.uint8), "PNG"))
    try:
        with pytest.raises(
            ValueError, match=r"\.png\) has the label 7, but data\.pars"
        ):
            check_maps(config, found, training=False)
    finally:
        path.write_bytes(good)


def without_maps(monkeypatch) -> None:
    """Makes every image read as if it had no parsing map."""
    example = Split.example
    monkeypatch.setattr(
        Split, "example", lambda self, index: {**example(self, index), "parsing": b""}
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def short_config(root):
    config = whole_network(root)
    config.train.epochs = config.train.steps_per_epoch = 1
    config.eval.figure_queries = 1
    return config


@pytest.mark.usefixtures("one_block")
def test_a_global_branch_is_trained_and_evaluated_on_images_alone(
    root, tmp_path, monkeypatch
):
    config = short_config(root)
    config.model.branches = ("global",)
    config.loss.ktm_area = 0.0
    without_maps(monkeypatch)
    dataset = load_dataset(config)
    mesh = make_mesh(jax.devices()[:1])
    train(config, dataset, tmp_path, mesh)
    results = Run(tmp_path, mesh, dataset=dataset).evaluate(config)
    assert list(results["general"]) == ["global", "chance"]


@pytest.mark.usefixtures("one_block")
def test_one_branch_of_a_whole_network_is_evaluated_on_images_alone(
    root, tmp_path, monkeypatch
):
    config = short_config(root)
    dataset = load_dataset(config)
    mesh = make_mesh(jax.devices()[:1])
    small_run.save_untrained(config, dataset, tmp_path)
    whole = Run(tmp_path, mesh, dataset=dataset).evaluate(config)
    config.eval.branches = ("global",)
    without_maps(monkeypatch)
    results = Run(tmp_path, mesh, dataset=dataset).evaluate(config)
    assert results == {
        protocol: {name: values[name] for name in ("global", "chance")}
        for protocol, values in whole.items()
    }
    saved = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert list(saved["results"]["general"]) == ["global", "chance"]


@pytest.mark.usefixtures("one_block")
def test_evaluated_branches_are_those_of_the_whole_network():
    config = whole_network("data")
    config.eval.flip = False
    model = make_model(config.model, 3)
    rng = np.random.default_rng(0)
    size = (2, tiny.HEIGHT, tiny.WIDTH)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    parsing = np.stack([tiny.person(8), tiny.person(12)])
    views = {
        "image": np.zeros((*size, 3), np.float32),
        "crops": np.zeros((*size, 3), np.float32),
        "silhouette": np.zeros((*size, 1), np.float32),
    }
    variables = jax.jit(model.init, static_argnames="train")(
        jax.random.key(0), views, train=False
    )
    mesh = make_mesh(jax.devices()[:1])

    def embed(*branches):
        config.eval.branches = branches
        return make_embed(config, model, mesh)(variables, image, parsing)

    whole = embed()
    # The mask branch still attends to the clothing-unrelated one, not returned here.
    pair = embed("mask", "global")
    assert set(pair) == {"global", "mask", "all"}
    for name in ("global", "mask"):
        np.testing.assert_allclose(pair[name], whole[name], atol=1e-5)
    # Each branch has the same weight, so each half has the same length.
    parts = np.split(pair["all"], [whole["global"].shape[1]], axis=1)
    lengths = [np.linalg.norm(part, axis=1) for part in parts]
    assert min(map(np.min, lengths)) > 0.5

    with pytest.raises(ValueError, match=r"does not have: 'legs'; it has \('global'"):
        embed("global", "legs")
