"""Every field of a config is read, and a run reads no field that is not there."""

import jax
import numpy as np
import pytest
import tiny
from ml_collections import ConfigDict

from configs import synthetic_large
from mbnet_jax.data import load_dataset
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.run import evaluate_run
from mbnet_jax.synthetic import SyntheticOptions
from mbnet_jax.synthetic.generate import plan
from mbnet_jax.training.loop import train
from mbnet_jax.training.optimizer import make_optimizer, make_schedule
from mbnet_jax.training.step import init_state, make_model


def fields(config: ConfigDict, prefix: str = "") -> dict[tuple[int, str], str]:
    """(the part that holds it, its key) -> full name, of every field."""
    found = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            found |= fields(value, f"{prefix}{key}.")
        else:
            found[id(config), key] = prefix + key
    return found


def test_a_run_reads_every_field(tmp_path, monkeypatch):
    config = tiny.tiny_config(tmp_path / "data")
    config.model.backbone = config.model.mask_backbone = tiny.ONE_BLOCK
    config.eval.report = True
    config.loss.cal = 1.0  # its fields are read only then
    tiny.know_one_block(monkeypatch)
    unread = fields(config)
    read = ConfigDict.__getitem__

    def recording(self, key):
        unread.pop((id(self), key), None)
        return read(self, key)

    monkeypatch.setattr(ConfigDict, "__getitem__", recording)
    dataset = load_dataset(config)
    mesh = make_mesh(jax.devices()[:1])
    train(config, dataset, tmp_path / "run", mesh)
    evaluate_run(config, dataset, tmp_path / "run", mesh, "best")
    assert not unread.values()


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


def test_unknown_schedule_is_refused():
    config = tiny.tiny_config("data").train
    config.schedule = "linear"
    with pytest.raises(ValueError, match="'linear' is unknown; known: step, cosine"):
        make_schedule(config, 5)


def test_weight_decay_is_on_kernels_alone():
    config = tiny.tiny_config("data")
    config.train.update(weight_decay=0.1, warmup_epochs=0.0)
    model = make_model(config.model, num_classes=2)
    optimizer = make_optimizer(config.train, steps_per_epoch=5)
    shapes = jax.eval_shape(lambda: init_state(config, model, optimizer)).params
    params = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), shapes)
    zeros = jax.tree.map(np.zeros_like, params)
    updates, _ = optimizer.update(zeros, optimizer.init(params), params)
    changed = {"yes": set(), "no": set()}
    for path, update in jax.tree_util.tree_leaves_with_path(updates):
        changed["yes" if np.any(update) else "no"].add(path[-1].key)
    assert changed == {"yes": {"kernel"}, "no": {"bias", "scale"}}


def test_the_large_dataset_is_made_at_the_size_it_is_read_at():
    config = synthetic_large.get_config()
    config.data.width = 160
    config = config.copy_and_resolve_references()
    options = SyntheticOptions(**config.data.synthetic)
    assert (options.height, options.width) == (256, 160)
    small = SyntheticOptions(**tiny.synthetic.get_config().data.synthetic)
    assert sum(map(len, plan(options))) > 9 * sum(map(len, plan(small)))
