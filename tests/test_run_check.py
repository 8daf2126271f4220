"""What a run's config must fulfil across its fields, before data is read or made."""

import dataclasses

import jax
import pytest
import tiny

import mbnet_jax
from mbnet_jax import api
from mbnet_jax.backbones import BACKBONES, resnet, transformer
from mbnet_jax.config import flat, load_config
from mbnet_jax.configs import base, names
from mbnet_jax.data.datasets.spec import VALIDATIONS
from mbnet_jax.data.load import DEFAULT
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.models.check import check_network
from mbnet_jax.models.heads import POOLINGS
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.runs.network import DTYPES
from mbnet_jax.training.check import check_run, check_steps


@pytest.mark.parametrize("name", names())
def test_the_configs_that_come_with_the_package_pass(name):
    check_run(load_config(name), make_mesh(jax.devices()[:1]), training=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.name": ""}, "data.name='' is not a dataset here; known: synthetic"),
        (
            {"model.backbones.global.name": ""},
            "model.backbones.global.name='' must be text of 1 to 4,096 characters",
        ),
        (
            {"model.backbones.mask.name": "vgg"},
            "model.backbones.mask.name='vgg' is an unknown backbone; known: resnet10",
        ),
        (
            {"model.branches": ("mask", "parts")},
            "model.branches=('mask', 'parts'): parts is unknown; nearest known: glo",
        ),
        (
            {"eval.branches": ("parts",)},
            "eval.branches=('parts',) names branches that the network does not have",
        ),
        (
            {"model.branches": ("mask",), "eval.branches": ("global",)},
            "eval.branches=('global',) names branches that the network does not have",
        ),
        (
            {"views.crops": (63, 32)},
            "views.crops=(63, 32) must have an even height",
        ),
        (
            {"model.fusion_width": 10},
            "model.fusion_width=10 must be a multiple of 4, and of",
        ),
        (
            {"model.fusion_heads": 3},
            "model.fusion_width=8 must be a multiple of 4, and of model.fusion_heads=3",
        ),
        (
            {"data.height": 68},
            "data.height, data.width=(68, 32) must be multiples of the map of the glo",
        ),
        (
            {"views.crops": (66, 32)},
            "views.crops=(66, 32) must be multiples of the map of the clothing-unrela",
        ),
        (
            {"train.batch_size": 9},
            "train.batch_size=9 must be a multiple of train.images_per_identity=2",
        ),
        (
            {"train.batch_size": 12},
            "train.batch_size=12 must be a multiple of the 8 devices",
        ),
        (
            {"eval.batch_size": 12},
            "eval.batch_size=12 must be a multiple of the 8 devices",
        ),
        # Micro-batches of 2 2/3 identities, of one, and of half a row a device.
        (
            {"train.batch_size": 16, "train.accumulate": 3},
            "train.batch_size=16 does not split into train.accumulate=3 micro-batches",
        ),
        (
            {"train.batch_size": 16, "train.accumulate": 8},
            "train.batch_size=16 does not split into train.accumulate=8 micro-batches",
        ),
        (
            {"train.accumulate": 2},
            "train.batch_size/train.accumulate=8/2=4 must be a multiple of the 8 dev",
        ),
        (
            {"train.batch_size": 64},
            "train.batch_size=64 needs 32 identities of 2 images, but the training",
        ),
        (
            {"data.validation_fraction": 0.0},
            "data.validation_fraction=0.0 holds out 0 of 8 training identities",
        ),
        (
            {"train.warmup_epochs": 3.0},
            "train.warmup_epochs=3.0 must be at most train.epochs=2",
        ),
        (
            {"train.schedule": "step", "train.warmup_epochs": 2.0, "train.epochs": 9}
            | {"train.decay_epochs": (1, 5)},
            "train.decay_epochs=(1, 5) must not be before the end of train.warmup_e",
        ),
        ({"train.ema": 1.0}, "train.ema=1.0 must be a number from 0 to 0.999999"),
        ({"train.momentum": 1}, "train.momentum=1 must be a number from 0 to 0.9999"),
        ({"train.layer_decay": 0}, "train.layer_decay=0 must be a number above 0, at"),
        ({"train.optimizer": "lion"}, "train.optimizer='lion' must be one of 'adam',"),
        (
            {"train.epochs": 1_000_000, "train.steps_per_epoch": 10_000_000},
            "train.epochs=1000000 of 10000000 steps (train.steps_per_epoch) are too",
        ),
        (
            {"loss.cal": 1.0, "model.branches": ("mask",)},
            "loss.cal=1.0 trains the branch global, which is not in model.branches=(",
        ),
        (
            {"model.clothes_rank": 2, "loss.clothes_subspace": 0.0},
            "model.clothes_rank=2 asks for directions of clothes, and loss.clothes_su",
        ),
        (
            {"model.ktm_zoom": 0.5, "loss.ktm_area": 0.0},
            "model.ktm_zoom=0.5 enlarges what loss.ktm_area teaches KTM to find, and",
        ),
        (
            {"loss.ktm_features": 1.0, "model.backbones.global.width": 8},
            "loss.ktm_features=1.0 compares the embeddings of global and clothing_unr",
        ),
        (
            {"loss.ktm_features": 1.0, "model.backbones.global.pooling": "avg"},
            "loss.ktm_features=1.0 compares the embeddings of global and clothing_unr",
        ),
        (
            {"model.backbones.global.weights": "timm/resnet18.tv_in1k"},
            "model.backbones.global.weights='timm/resnet18.tv_in1k': public weights",
        ),
        (
            {"eval.batch_size": 65_536, "data.height": 2048, "data.width": 2048},
            "eval.batch_size=65536 gives each device 8,192 images of 2048x2048 (data.",
        ),
        (
            {"data.synthetic.train_identities": 9998},
            "data.synthetic.train_identities=9998 and data.synthetic.test_identities",
        ),
        (
            {"data.synthetic.test_identities": 0},
            "data.synthetic.train_identities=8 and data.synthetic.test_identities=0",
        ),
        (
            {"data.synthetic.train_images": 999, "data.synthetic.cameras": 99},
            "the fields of data.synthetic ask for 1,583,",
        ),
    ],
)
def test_fields_that_do_not_go_together_are_refused_before_data_is_made(
    tmp_path, monkeypatch, changes, message
):
    monkeypatch.setattr(api, "load_dataset", pytest.fail)
    config = tiny.tiny_config(tmp_path / "data")
    config.update_from_flattened_dict(changes)
    with pytest.raises(ValueError) as error:
        mbnet_jax.train(config, tmp_path / "run")
    lines = str(error.value).split("\n  ")
    assert any(line.startswith(message) for line in lines), error.value
    assert not any(tmp_path.iterdir())


def test_layer_decay_needs_an_order_of_layers(monkeypatch):
    config = tiny.tiny_config("data")
    config.train.layer_decay = 0.8
    mesh = make_mesh()
    check_run(config, mesh, training=True)
    plain = dataclasses.replace(BACKBONES["resnet10"], depths=None)
    monkeypatch.setitem(BACKBONES, "plain", plain)
    config.model.backbones.mask.name = "plain"
    check_run(config, mesh, training=False)
    message = (
        r"train\.layer_decay=0\.8 needs backbones with an order of layers, which "
        r"model\.backbones\.mask\.name='plain' has not"
    )
    with pytest.raises(ValueError, match=message):
        check_run(config, mesh, training=True)
    config.model.branches = ("global",)
    check_run(config, mesh, training=True)


def test_several_problems_are_named_together():
    config = tiny.tiny_config("data")
    config.model.fusion_heads = 3
    config.data.name = "x"
    with pytest.raises(ValueError) as error:
        check_run(config, make_mesh(), training=False)
    head, *lines = str(error.value).split("\n  ")
    assert head == "the config:" and len(lines) == 2


def test_sections_without_use_are_refused():
    config = tiny.tiny_config("data")
    with config.unlocked():
        config.views.crop = (64, 32)
        config.views.backgrnd = 0.5
        config.model.backbones.globl = config.model.backbones.mask
    with pytest.raises(ValueError) as error:
        check_network(config)
    assert "views.crop is unknown; nearest known: views.crops" in str(error.value)
    assert "views.backgrnd is unknown; nearest known: views.ba" in str(error.value)
    assert "model.backbones.globl is unknown; nearest known: model.b" in str(
        error.value
    )


def test_a_branch_needs_its_backbone_and_view():
    config = tiny.tiny_config("data")
    with config.unlocked():
        del config.model.backbones.mask
        del config.views.silhouette
    with pytest.raises(ValueError) as error:
        check_network(config)
    assert "has 'mask', which has no backbone; add the section" in str(error.value)
    assert "takes the view 'silhouette'; add its size, views.sil" in str(error.value)


def test_a_config_without_people_generates_none():
    config = load_config("prcc", ["data.name=synthetic"])
    message = "data.name='synthetic' needs the fields of data.synthetic"
    with pytest.raises(ValueError, match=message):
        check_run(config, make_mesh(jax.devices()[:1]), training=False)


def test_what_training_alone_needs_is_not_asked_for_in_an_evaluation():
    config = tiny.tiny_config("data")
    config.train.update(batch_size=9, warmup_epochs=99.0)
    check_run(config, make_mesh(), training=False)


def test_steps_are_counted_in_32_bits():
    check_steps(2**16, 2**15 - 1)
    with pytest.raises(ValueError, match=r"train\.epochs=65536 of 32768 steps"):
        check_steps(2**16, 2**15)


@pytest.mark.parametrize("name", ["", ".", "..", "a/../..", "/tmp/x", ".hidden"])
def test_a_run_without_a_folder_of_its_own_is_refused(name):
    config = tiny.tiny_config("data")
    config.name = name
    with pytest.raises(ValueError, match=f"^name={name!r} must be the name of a fold"):
        api.run_folder(config)


@pytest.mark.parametrize("workdir", [3, b"runs", "", ["runs"]])
def test_a_folder_of_another_type_is_refused(workdir):
    with pytest.raises(ValueError, match=r"^workdir=.* must be a path"):
        api.run_folder(tiny.tiny_config("data"), workdir)


def test_the_limits_are_those_of_the_code():
    fields = flat(base.FIELDS)
    assert set(fields["model.pooling"].choices) == {*POOLINGS}
    assert fields["model.dtype"].choices == DTYPES
    assert set(fields["data.parsing_labels"].choices) == {*LABEL_SETS}
    assert fields["data.validation"].choices == (DEFAULT, *VALIDATIONS)
    assert set(fields["model.backbones.global.stem"].choices) == {*resnet.STEMS}
    kept = fields["model.backbones.global.remat_keeps"].choices
    assert set(kept) == {*transformer.KEPT}
    assert {b.name for b in base.get_config().model.backbones.values()} <= {*BACKBONES}
