"""Every field of a config is read; configs are loaded by name with overrides."""

import inspect
import re
import shutil

import jax
import numpy as np
import pytest
import tiny
from ml_collections import ConfigDict

import mbnet_jax
from configs import base, prcc, synthetic_large
from mbnet_jax import api
from mbnet_jax.backbones import BACKBONES
from mbnet_jax.config import flat
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.models import MBNet
from mbnet_jax.runs.network import abstract_variables, make_model
from mbnet_jax.schema import Field
from mbnet_jax.synthetic import SyntheticOptions
from mbnet_jax.synthetic.generate import plan
from mbnet_jax.training.augment import augment
from mbnet_jax.training.optimizer import make_optimizer, make_schedule


def fields(config: ConfigDict, prefix: str = "") -> dict[tuple[int, str], str]:
    """(the id of its section, its key) -> full name, of every field."""
    found = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            found |= fields(value, f"{prefix}{key}.")
        else:
            found[id(config), key] = prefix + key
    return found


def read_by_the_network() -> set[str]:
    """The fields that `MBNet` and its backbones use; they are given as plain dicts."""
    used = re.findall(r"\bself\.(\w+)", inspect.getsource(MBNet))
    taken = {"name"}.union(*(backbone.fields for backbone in BACKBONES.values()))
    return {f"model.{field}" for field in used} | {
        f"model.backbones.{branch}.{field}"
        for branch in tiny.synthetic.get_config().model.backbones
        for field in taken
    }


def test_saved_configs_without_later_fields_mean_the_same():
    fields = base.fields()
    later = {
        section: {k: f for k, f in fields[section].items() if isinstance(f, Field)}
        for section in ("model", "augment")
    }
    later = {
        section: {name: field for name, field in found.items() if field.optional}
        for section, found in later.items()
    }
    config = tiny.tiny_config("data")
    with config.unlocked():
        for name, field in later["model"].items():
            config.model[name] = field.default
    whole = make_model(config.model, 4)
    with config.unlocked():
        for name in later["model"]:
            del config.model[name]
    assert make_model(config.model, 4) == whole
    parameters = inspect.signature(augment).parameters
    for name, field in later["augment"].items():
        assert parameters[name].default == field.default


@pytest.mark.usefixtures("compiled_in_a_hurry")
def test_a_run_reads_every_field(tmp_path, monkeypatch):
    config = tiny.tiny_config(tmp_path / "data")
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    config.eval.report = True
    config.loss.cal = 1.0  # else its fields are not read
    config.train.schedule = "step"  # the same
    tiny.know_one_block(monkeypatch)
    unread, listing = fields(config), []
    read = ConfigDict.__getitem__

    def recording(self, key):
        if not listing:
            unread.pop((id(self), key), None)
        return read(self, key)

    def not_recording(original):
        def call(*args, **kwargs):
            listing.append(original)
            try:
                return original(*args, **kwargs)
            finally:
                listing.pop()

        return call

    monkeypatch.setattr(ConfigDict, "__getitem__", recording)
    # What is only checked has no effect either.
    monkeypatch.setattr(api, "check_run", not_recording(api.check_run))
    # Whoever saves or prints a config lists every field, also one without any effect.
    for name in ("to_dict", "items"):
        listed = not_recording(getattr(ConfigDict, name))
        monkeypatch.setattr(ConfigDict, name, listed)
    mesh = make_mesh(jax.devices()[:1])
    mbnet_jax.train(config, tmp_path / "run", mesh=mesh).evaluate(config)
    assert {*unread.values()} - read_by_the_network() == set()


def test_a_config_is_loaded_by_name_or_file_with_overrides(tmp_path):
    assert flat(mbnet_jax.load_config("prcc")) == flat(prcc.get_config())
    file = shutil.copy(tiny.synthetic.__file__, tmp_path / "mine.py")
    for source in ("synthetic", file):
        overrides = [
            "train.epochs=3",
            "model.branches=('global',)",
            "model.backbones.global.width=8",
            "model.backbones.mask.name=resnet18",
            "data.height=96",
            "train.epochs=4",
        ]
        before = flat(tiny.synthetic.get_config())
        found = flat(mbnet_jax.load_config(source, overrides))
        assert {field for field in found if found[field] != before[field]} == {
            *(override.partition("=")[0] for override in overrides),
            "data.synthetic.height",  # follows data.height
        }
        assert found["train.epochs"] == 4 and found["model.branches"] == ("global",)
        assert found["model.backbones.global.width"] == 8
        assert found["data.synthetic.height"] == 96


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        (
            "sythetic",
            "seed=1",
            "config file not found: sythetic; give a file, or one of ccvid,",
        ),
        ("base", "seed=1", "config file not found: base"),
        ("synthetic", "train.epoch=1", "is unknown; write train.epochs=1$"),
        ("synthetic", "model.backbones.global.wdth=1", r"write .*\.global\.width=1$"),
        ("synthetic", "train.epochs=many", "train.epochs"),
        ("synthetic", "model.backbones.global.width=x", "global.*width"),
    ],
)
def test_a_config_that_cannot_be_loaded_is_refused(name, override, message):
    with pytest.raises(ValueError, match=message):
        mbnet_jax.load_config(name, [override])


@pytest.mark.parametrize("schedule", ["step", "cosine"])
def test_schedules_warm_up_and_decay(schedule):
    config = tiny.tiny_config("data").train
    config.update(
        schedule=schedule,
        epochs=10,
        warmup_epochs=2.0,
        decay_epochs=(4, 8),
        decay_rate=0.1,
        learning_rate=1.0,
    )
    rate = make_schedule(config, steps_per_epoch=5)
    rising = [float(rate(step)) for step in range(11)]
    assert rising == sorted(rising) and rising[0] > 0 and rising[10] == 1
    if schedule == "step":
        after = [float(rate(step)) for step in (19, 20, 39, 40, 49)]
        assert after == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])
    else:
        assert float(rate(30)) == pytest.approx(0.5)  # halfway down
        assert float(rate(50)) == pytest.approx(0, abs=1e-6)


@pytest.mark.usefixtures("compiled_in_a_hurry")
def test_weight_decay_is_on_kernels_alone():
    config = tiny.tiny_config("data")
    config.train.update(weight_decay=0.1, warmup_epochs=0.0)
    model = make_model(config.model, num_classes=2)
    optimizer = make_optimizer(config.train, make_schedule(config.train, 5))
    shapes = abstract_variables(config, model)["params"]
    params = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), shapes)
    zeros = jax.tree.map(np.zeros_like, params)

    @jax.jit  # one program, not one for each shape of a parameter
    def update(zeros, params):
        return optimizer.update(zeros, optimizer.init(params), params)[0]

    updates = update(zeros, params)
    changed = {"yes": set(), "no": set()}
    for path, update in jax.tree_util.tree_leaves_with_path(updates):
        changed["yes" if np.any(update) else "no"].add(path[-1].key)
    assert changed == {"yes": {"kernel"}, "no": {"bias", "scale"}}


def test_the_large_dataset_is_generated_at_the_size_that_is_read():
    config = synthetic_large.get_config()
    config.data.width = 160
    config = config.copy_and_resolve_references()
    options = SyntheticOptions(**config.data.synthetic)
    assert (options.height, options.width) == (256, 160)
    small = SyntheticOptions(**tiny.synthetic.get_config().data.synthetic)
    assert sum(map(len, plan(options))) > 9 * sum(map(len, plan(small)))
