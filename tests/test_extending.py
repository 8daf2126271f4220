"""A dataset, a backbone and a rule that are added from outside the package."""

import inspect

import flax.linen as nn
import jax
import pytest
import tiny

import mbnet_jax
from mbnet_jax import schema
from mbnet_jax.backbones import BACKBONES, Backbone, Features
from mbnet_jax.configs import base
from mbnet_jax.data.datasets import DATASETS, DatasetSpec
from mbnet_jax.data.datasets.reading import Found, list_images, number
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.retrieval import RULES, Rule

MOST_LINES = 30  # of each


def toy_dataset() -> DatasetSpec:
    """Images of the synthetic layout, without parsing maps, under the toy rule."""
    pattern = r"(?P<pid>\d+)_(?P<outfit>\d+)_c(?P<camera>\d+)_\d+\.jpg"

    def read(folder):
        return number(
            {
                split: [
                    Found(path, int(m["pid"]), int(m["camera"]) - 1, int(m["outfit"]))
                    for path, m in list_images(
                        folder / split, pattern, example="0001_2_c3_4.jpg"
                    )
                ]
                for split in ("train", "query", "gallery")
            }
        )

    return DatasetSpec(
        name="toy",
        read=read,
        counts={"train": (32, 4)},
        protocols=(Protocol("toy", "query", "gallery", "toy"),),
        validation="none",
    )


class ToyBackbone(nn.Module):
    """Two convolutions."""

    channels: int
    dtype: type

    @nn.compact
    def __call__(self, x, *, train):
        for stride in (4, 2):
            x = nn.Conv(self.channels, (3, 3), stride, dtype=self.dtype)(x)
            x = nn.relu(x)
        return Features(x)


def toy_rule() -> Rule:
    """Only images of the query's own camera count."""
    return Rule(
        junk=lambda same: ~same.camera,
        needs=frozenset({"camera"}),
    )


@pytest.mark.parametrize("part", [toy_dataset, ToyBackbone, toy_rule])
def test_a_part_is_short(part):
    assert len(inspect.getsource(part).splitlines()) < MOST_LINES


def test_two_steps_and_an_evaluation_with_all_of_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(DATASETS, "toy", toy_dataset())
    monkeypatch.setitem(RULES, "toy", toy_rule())
    toy = Backbone(make=ToyBackbone, fields=("channels",))
    monkeypatch.setitem(BACKBONES, "toy", toy)
    root = tiny.write_folder(tmp_path / "images")
    config = tiny.tiny_config(root)
    config.data.name = "toy"
    config.data.validation = "default"
    config.model.branches = ("global",)
    monkeypatch.setattr(base, "FIELDS", base.fields())
    base.FIELDS.model.backbones["global"].channels = schema.whole(4, low=1, high=64)
    with config.unlocked():
        config.model.backbones["global"].update(name="toy", channels=4)
    config.loss.ktm_area = 0.0
    config.train.epochs = 1
    config = config.copy_and_resolve_references()

    mesh = make_mesh(jax.devices()[:1])
    before = jax.device_get(first_kernel(config, mesh))
    run = mbnet_jax.train(config, tmp_path / "run", mesh=mesh)
    network = run.load(mesh)
    assert network.step == 2
    kernel = network.variables["params"]["global_backbone"]["Conv_0"]["kernel"]
    assert kernel.shape == (3, 3, 3, 4) and (kernel != before).any()

    results = run.evaluate()
    assert list(results) == ["toy"]
    # Each query has two true matches, one of each outfit, seen by its own camera.
    metrics = run.metrics()
    assert metrics["protocols"]["toy"]["queries_with_a_match"] == 8
    assert 0 < results["toy"]["global"]["mAP"] <= 1
    assert "toy" in capsys.readouterr().out


def first_kernel(config, mesh):
    """The toy backbone's first kernel, as a new run starts with it."""
    from mbnet_jax.runs.network import init_variables, make_model

    variables = init_variables(config, make_model(config.model, 4))
    return variables["params"]["global_backbone"]["Conv_0"]["kernel"]
